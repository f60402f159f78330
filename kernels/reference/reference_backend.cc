#include "kernels/reference/reference_backend.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/half.h"
#include "kernels/reference/dequantize.h"
#include "kernels/reference/reference_product.h"

namespace parity::kernels {
namespace {

class ReferenceWeight : public Weight {
 public:
  explicit ReferenceWeight(const WeightSource& source)
      : Weight(source.dtype, source.rows, source.cols), source_(source) {}
  int64_t resident_bytes() const override { return 0; }
  const WeightSource& source() const { return source_; }

 private:
  WeightSource source_;
};

class ReferenceVector : public Vector {
 public:
  explicit ReferenceVector(absl::Span<const float> values)
      : values_(values.begin(), values.end()) {}
  int64_t size() const override { return static_cast<int64_t>(values_.size()); }
  float operator[](int64_t i) const { return values_[i]; }

 private:
  std::vector<float> values_;
};

class ReferenceBuffer : public Buffer {
 public:
  explicit ReferenceBuffer(int64_t elements) : values_(elements) {}
  float* data() override { return values_.data(); }
  int64_t elements() const override { return static_cast<int64_t>(values_.size()); }

 private:
  std::vector<float> values_;
};

// [layer][head][position][K] of keys, then of values.
class ReferenceKvCache : public KvCache {
 public:
  explicit ReferenceKvCache(const KvShape& shape)
      : shape_(shape),
        keys_(int64_t{shape.layers} * shape.kv_heads * shape.capacity * shape.head_size),
        values_(keys_.size()) {}
  int32_t capacity() const override { return shape_.capacity; }
  int64_t resident_bytes() const override { return (keys_.size() + values_.size()) * 4; }
  const KvShape& shape() const { return shape_; }

  float* key(int64_t layer, int64_t head, int64_t position) {
    return keys_.data() + Offset(layer, head, position);
  }
  float* value(int64_t layer, int64_t head, int64_t position) {
    return values_.data() + Offset(layer, head, position);
  }
  float Rounded(float x) const { return shape_.type == KvType::kF16 ? RoundToHalf(x) : x; }

 private:
  int64_t Offset(int64_t layer, int64_t head, int64_t position) const {
    CHECK(layer < shape_.layers && head < shape_.kv_heads && position < shape_.capacity);
    return ((layer * shape_.kv_heads + head) * shape_.capacity + position) * shape_.head_size;
  }

  KvShape shape_;
  std::vector<float> keys_;
  std::vector<float> values_;
};

const ReferenceVector& AsReference(const Vector& v) {
  return static_cast<const ReferenceVector&>(v);
}

ReferenceKvCache& CacheOf(const RowPlace& place) {
  return *static_cast<ReferenceKvCache*>(place.cache);
}

float* Row(Matrix m, int64_t row) { return m.data + row * m.cols; }

void CheckSameShape(Matrix a, Matrix b) {
  CHECK_EQ(a.rows, b.rows);
  CHECK_EQ(a.cols, b.cols);
}

double GeluTanh(double x) {
  const double u = 0.79788456080286535588 * x * (1.0 + 0.044715 * x * x);
  return x / (1.0 + std::exp(-2.0 * u));
}

class ReferenceBackend : public Backend {
 public:
  explicit ReferenceBackend(Numerics numerics) : numerics_(numerics) {}

  std::string name() const override { return "reference"; }
  std::string compute_path() const override { return "reference"; }
  int threads() const override { return 1; }
  Numerics numerics() const override { return numerics_; }

  absl::StatusOr<std::unique_ptr<Weight>> LoadWeight(const WeightSource& source) override;
  absl::StatusOr<std::unique_ptr<Vector>> LoadVector(absl::Span<const float> values) override {
    return std::unique_ptr<Vector>(new ReferenceVector(values));
  }
  absl::StatusOr<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape) override {
    return std::unique_ptr<KvCache>(new ReferenceKvCache(shape));
  }
  absl::StatusOr<std::unique_ptr<Buffer>> NewBuffer(int64_t elements) override {
    return std::unique_ptr<Buffer>(new ReferenceBuffer(elements));
  }

  void Embed(const Weight& table, absl::Span<const int32_t> ids, Matrix out) override;
  void RmsNorm(Matrix x, const Vector& weight, float eps, Matrix out) override;
  void MatMul(const Weight& weight, Matrix x, Matrix out) override;
  void AddBias(const Vector& bias, Matrix x) override;
  void Rope(const RopeSpec& spec, int32_t head_size, absl::Span<const int32_t> positions,
            Matrix x) override;
  void AppendKv(int32_t layer, Matrix k, Matrix v, absl::Span<const RowPlace> places) override;
  void Attention(const AttentionSpec& spec, Matrix q, absl::Span<const RowPlace> places,
                 Matrix out) override;
  void GatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out) override;
  void Add(Matrix a, Matrix b, Matrix out) override;
  void Scale(float factor, Matrix x) override;
  void Tap(Matrix value, bool substitute, TapSink sink) override;
  void Read(Matrix value, absl::Span<float> out) override;
  void TopK(Matrix x, int32_t k, absl::Span<TopValues> out) override;
  absl::Status TakeStatus() override {
    absl::Status status = std::exchange(status_, absl::OkStatus());
    return status;
  }

 private:
  bool native() const { return numerics_ == Numerics::kNative; }
  // The angle of pair j at a position: by repeated float products where ggml does so, else in
  // double.
  double Angle(const RopeSpec& spec, int64_t j, int32_t position) const;
  void AttendHead(const AttentionSpec& spec, int32_t head, const RowPlace& place, const float* q,
                  float* out) const;

  const Numerics numerics_;
  absl::Status status_;
};

absl::StatusOr<std::unique_ptr<Weight>> ReferenceBackend::LoadWeight(const WeightSource& source) {
  const DTypeTraits* known = FindDType(static_cast<uint32_t>(source.dtype));
  if (known == nullptr || !known->computable) {
    return absl::UnimplementedError(absl::StrCat("tensor ", source.name, ": no product for type ",
                                                 static_cast<uint32_t>(source.dtype)));
  }
  const DTypeTraits& traits = *known;
  if (source.rows < 0 || source.cols < 0 || source.cols % traits.block_elements != 0 ||
      static_cast<int64_t>(source.bytes.size()) !=
          source.rows * RowBytes(source.dtype, source.cols)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", source.name, ": ", source.rows, " x ",
                                                   source.cols, " ", traits.name, " is not ",
                                                   source.bytes.size(), " bytes"));
  }
  return std::unique_ptr<Weight>(new ReferenceWeight(source));
}

void ReferenceBackend::Embed(const Weight& table, absl::Span<const int32_t> ids, Matrix out) {
  if (!status_.ok()) return;
  const WeightSource& source = static_cast<const ReferenceWeight&>(table).source();
  const int64_t row_bytes = RowBytes(source.dtype, source.cols);
  CHECK(out.cols == source.cols && out.rows == static_cast<int64_t>(ids.size()));
  for (int64_t t = 0; t < out.rows; ++t) {
    CHECK(ids[t] >= 0 && ids[t] < source.rows) << ids[t];
    Dequantize(source.dtype, source.bytes.data() + ids[t] * row_bytes, source.cols, Row(out, t));
  }
}

void ReferenceBackend::RmsNorm(Matrix x, const Vector& weight, float eps, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(x, out);
  const ReferenceVector& w = AsReference(weight);
  const int64_t size = w.size();
  CHECK_EQ(x.cols % size, 0);
  for (int64_t g = 0; g < x.rows * x.cols; g += size) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += static_cast<double>(x.data[g + i]) * x.data[g + i];
    const double scale = 1.0 / std::sqrt(sum / static_cast<double>(size) + eps);
    for (int64_t i = 0; i < size; ++i) {
      out.data[g + i] = static_cast<float>(x.data[g + i] * scale * w[i]);
    }
  }
}

void ReferenceBackend::MatMul(const Weight& weight, Matrix x, Matrix out) {
  if (!status_.ok()) return;
  const WeightSource& source = static_cast<const ReferenceWeight&>(weight).source();
  CHECK(x.cols == source.cols && out.cols == source.rows && x.rows == out.rows);
  for (int64_t t = 0; t < x.rows; ++t) {
    const ReferenceActivations row = PrepareActivations(source.dtype, numerics_, Row(x, t), x.cols);
    for (int64_t r = 0; r < source.rows; ++r) {
      Row(out, t)[r] = static_cast<float>(ReferenceProduct(source, r, row));
    }
  }
}

void ReferenceBackend::AddBias(const Vector& bias, Matrix x) {
  if (!status_.ok()) return;
  CHECK_EQ(x.cols, bias.size());
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t i = 0; i < x.cols; ++i) Row(x, t)[i] += AsReference(bias)[i];
  }
}

double ReferenceBackend::Angle(const RopeSpec& spec, int64_t j, int32_t position) const {
  const double factor = spec.factors != nullptr ? AsReference(*spec.factors)[j] : 1.0f;
  if (!native()) {
    return position * static_cast<double>(spec.freq_scale) *
           std::pow(static_cast<double>(spec.base), -2.0 * j / spec.dims) / factor;
  }
  const float step = powf(spec.base, -2.0f / static_cast<float>(spec.dims));
  float theta = static_cast<float>(position);
  for (int64_t i = 0; i < j; ++i) theta *= step;
  return spec.freq_scale * (theta / static_cast<float>(factor));
}

void ReferenceBackend::Rope(const RopeSpec& spec, int32_t head_size,
                            absl::Span<const int32_t> positions, Matrix x) {
  if (!status_.ok()) return;
  CHECK(x.cols % head_size == 0 && spec.dims <= head_size && spec.dims % 2 == 0);
  CHECK_EQ(x.rows, static_cast<int64_t>(positions.size()));
  const bool adjacent = spec.pairing == RopePairing::kAdjacent;
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t j = 0; j < spec.dims / 2; ++j) {
      const double angle = Angle(spec, j, positions[t]);
      for (float* head = Row(x, t); head < Row(x, t) + x.cols; head += head_size) {
        float& a = head[adjacent ? 2 * j : j];
        float& b = head[adjacent ? 2 * j + 1 : j + spec.dims / 2];
        const double x0 = a, x1 = b;
        a = static_cast<float>(x0 * std::cos(angle) - x1 * std::sin(angle));
        b = static_cast<float>(x0 * std::sin(angle) + x1 * std::cos(angle));
      }
    }
  }
}

void ReferenceBackend::AppendKv(int32_t layer, Matrix k, Matrix v,
                                absl::Span<const RowPlace> places) {
  if (!status_.ok()) return;
  CheckSameShape(k, v);
  CHECK_EQ(k.rows, static_cast<int64_t>(places.size()));
  for (int64_t t = 0; t < k.rows; ++t) {
    ReferenceKvCache& cache = CacheOf(places[t]);
    const int64_t size = cache.shape().head_size;
    CHECK_EQ(k.cols, cache.shape().kv_heads * size);
    for (int64_t i = 0; i < k.cols; ++i) {
      const int64_t head = i / size, at = i % size;
      cache.key(layer, head, places[t].position)[at] = cache.Rounded(Row(k, t)[i]);
      cache.value(layer, head, places[t].position)[at] = cache.Rounded(Row(v, t)[i]);
    }
  }
}

void ReferenceBackend::AttendHead(const AttentionSpec& spec, int32_t head, const RowPlace& place,
                                  const float* q, float* out) const {
  ReferenceKvCache& cache = CacheOf(place);
  const bool rounds = native() && cache.shape().type == KvType::kF16;
  const int64_t kv_head = head / (spec.heads / spec.kv_heads);
  const int64_t end = int64_t{place.position} + 1;
  const int64_t begin = spec.window > 0 ? std::max<int64_t>(0, end - spec.window) : 0;
  std::vector<double> p(end - begin);
  double most = -std::numeric_limits<double>::infinity();
  for (int64_t i = begin; i < end; ++i) {
    const float* key = cache.key(spec.layer, kv_head, i);
    double dot = 0;
    for (int64_t k = 0; k < spec.head_size; ++k) {
      dot += static_cast<double>(rounds ? RoundToHalf(q[k]) : q[k]) * key[k];
    }
    p[i - begin] = dot * spec.scale;
    most = std::max(most, p[i - begin]);
  }
  double sum = 0;
  for (double& value : p) sum += value = std::exp(value - most);
  std::vector<double> result(spec.head_size);
  for (int64_t i = begin; i < end; ++i) {
    double probability = p[i - begin] / sum;
    if (rounds) probability = RoundToHalf(static_cast<float>(probability));
    const float* value = cache.value(spec.layer, kv_head, i);
    for (int64_t k = 0; k < spec.head_size; ++k) result[k] += probability * value[k];
  }
  for (int64_t k = 0; k < spec.head_size; ++k) out[k] = static_cast<float>(result[k]);
}

void ReferenceBackend::Attention(const AttentionSpec& spec, Matrix q,
                                 absl::Span<const RowPlace> places, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(q, out);
  CHECK_EQ(q.rows, static_cast<int64_t>(places.size()));
  CHECK(q.cols == int64_t{spec.heads} * spec.head_size && spec.heads % spec.kv_heads == 0);
  for (int64_t t = 0; t < q.rows; ++t) {
    for (int32_t h = 0; h < spec.heads; ++h) {
      const int64_t offset = int64_t{h} * spec.head_size;
      AttendHead(spec, h, places[t], Row(q, t) + offset, Row(out, t) + offset);
    }
  }
}

void ReferenceBackend::GatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(gate, up);
  CheckSameShape(gate, out);
  for (int64_t i = 0; i < gate.rows * gate.cols; ++i) {
    const float x = gate.data[i];
    double act;
    if (activation == Activation::kSilu) {
      act = x / (1.0 + std::exp(-static_cast<double>(x)));
    } else if (!native()) {
      act = GeluTanh(x);
    } else if (x <= -10.0f || x >= 10.0f) {
      act = x < 0 ? 0.0f : x;
    } else {
      act = RoundToHalf(static_cast<float>(GeluTanh(RoundToHalf(x))));
    }
    out.data[i] = static_cast<float>(act * up.data[i]);
  }
}

void ReferenceBackend::Add(Matrix a, Matrix b, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(a, b);
  CheckSameShape(a, out);
  for (int64_t i = 0; i < a.rows * a.cols; ++i) out.data[i] = a.data[i] + b.data[i];
}

void ReferenceBackend::Scale(float factor, Matrix x) {
  if (!status_.ok()) return;
  for (int64_t i = 0; i < x.rows * x.cols; ++i) x.data[i] *= factor;
}

void ReferenceBackend::Tap(Matrix value, bool substitute, TapSink sink) {
  if (!status_.ok()) return;
  status_ = sink(absl::MakeSpan(value.data, value.rows * value.cols), value.rows, value.cols);
}

void ReferenceBackend::Read(Matrix value, absl::Span<float> out) {
  if (!status_.ok()) return;
  CHECK_EQ(static_cast<int64_t>(out.size()), value.rows * value.cols);
  std::memcpy(out.data(), value.data, out.size() * sizeof(float));
}

void ReferenceBackend::TopK(Matrix x, int32_t k, absl::Span<TopValues> out) {
  if (!status_.ok()) return;
  CHECK_EQ(static_cast<int64_t>(out.size()), x.rows);
  CHECK(k >= 1 && k <= kMostTopK) << k;
  for (int64_t t = 0; t < x.rows; ++t) {
    std::vector<TopValue> all;
    for (int32_t i = 0; i < x.cols; ++i) {
      if (!std::isnan(Row(x, t)[i])) all.push_back({i, Row(x, t)[i]});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const TopValue& a, const TopValue& b) { return a.value > b.value; });
    const double most = all.empty() ? -HUGE_VAL : all[0].value;
    double sum = 0;
    for (int64_t i = 0; i < x.cols; ++i) {
      const double value = Row(x, t)[i];
      if (std::isnan(value) || std::isfinite(most)) sum += std::exp(value - most);
    }
    if (std::isinf(most)) sum += most < 0 ? std::nan("") : most;
    if (static_cast<int64_t>(all.size()) > k) all.resize(k);
    out[t] = {std::move(all), sum};
  }
}

}  // namespace

std::unique_ptr<Backend> CreateReferenceBackend(Numerics numerics) {
  return std::make_unique<ReferenceBackend>(numerics);
}

}  // namespace parity::kernels
