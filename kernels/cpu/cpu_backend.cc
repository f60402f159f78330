#include "kernels/cpu/cpu_backend.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "kernels/cpu/gelu.h"
#include "kernels/cpu/kv_cache.h"
#include "kernels/cpu/packed_weight.h"
#include "kernels/top_k.h"
#include "proto/status/status_macros.h"

namespace parity::kernels {
namespace {

constexpr int kMostThreads = 1024;
// Elements below which an elementwise op stays on the calling thread: about 5 us of work, a wake-up
// costs as much.
constexpr int64_t kElementsPerPiece = 16384;

class CpuVector : public Vector {
 public:
  explicit CpuVector(absl::Span<const float> values) : values_(values.begin(), values.end()) {}
  int64_t size() const override { return static_cast<int64_t>(values_.size()); }
  const std::vector<float>& values() const { return values_; }

 private:
  std::vector<float> values_;
};

class CpuBuffer : public Buffer {
 public:
  CpuBuffer(float* data, int64_t elements) : data_(data), elements_(elements) {}
  ~CpuBuffer() override { ::operator delete[](data_, std::align_val_t(64)); }
  float* data() override { return data_; }
  int64_t elements() const override { return elements_; }

 private:
  float* data_;
  int64_t elements_;
};

const std::vector<float>& Values(const Vector& vector) {
  return static_cast<const CpuVector&>(vector).values();
}

int64_t Elements(Matrix m) { return m.rows * m.cols; }

void CheckSameShape(Matrix a, Matrix b) {
  CHECK_EQ(a.rows, b.rows);
  CHECK_EQ(a.cols, b.cols);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CpuBackend>> CpuBackend::Create(const CpuOptions& options) {
  if (options.threads < 1 || options.threads > kMostThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads: ", options.threads, ", expected 1 to ", kMostThreads));
  }
  const SimdPath path = options.path.value_or(BestSimdPath());
  if (!Supported(path)) {
    return absl::UnavailableError(absl::StrCat("this machine has no ", Name(path)));
  }
  return std::unique_ptr<CpuBackend>(new CpuBackend(options, path));
}

CpuBackend::CpuBackend(const CpuOptions& options, SimdPath path)
    : path_(path),
      numerics_(options.numerics),
      ops_(VectorOpsFor(path)),
      pool_(options.threads),
      products_(path, options.numerics, pool_, options.activations),
      attention_(options.threads) {}

void CpuBackend::ForRows(Matrix shape, absl::FunctionRef<void(int64_t, int64_t)> body) {
  const int64_t rows = std::max<int64_t>(1, kElementsPerPiece / std::max<int64_t>(1, shape.cols));
  pool_.Run(
      shape.rows, [&](int64_t begin, int64_t end, int) { body(begin, end); }, rows);
}

absl::StatusOr<std::unique_ptr<Weight>> CpuBackend::LoadWeight(const WeightSource& source) {
  ASSIGN_OR_RETURN(std::unique_ptr<Weight> weight,
                   PackWeight(source, numerics_, &pool_, &weight_memory_));
  return weight;
}

absl::StatusOr<std::unique_ptr<Vector>> CpuBackend::LoadVector(absl::Span<const float> values) {
  return std::unique_ptr<Vector>(new CpuVector(values));
}

absl::StatusOr<std::unique_ptr<KvCache>> CpuBackend::NewKvCache(const KvShape& shape) {
  ASSIGN_OR_RETURN(std::unique_ptr<KvCache> cache, CpuKvCache::Create(shape));
  return cache;
}

absl::StatusOr<std::unique_ptr<Buffer>> CpuBackend::NewBuffer(int64_t elements) {
  CHECK_GE(elements, 0);
  float* data = nullptr;
  if (elements < int64_t{1} << 58) {
    data = static_cast<float*>(
        ::operator new[](elements * sizeof(float), std::align_val_t(64), std::nothrow));
  }
  if (data == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a buffer of ", elements, " floats"));
  }
  std::memset(data, 0, elements * sizeof(float));
  return std::unique_ptr<Buffer>(new CpuBuffer(data, elements));
}

void CpuBackend::Embed(const Weight& table, absl::Span<const int32_t> ids, Matrix out) {
  if (!status_.ok()) return;
  CHECK_EQ(out.rows, static_cast<int64_t>(ids.size()));
  CHECK_EQ(out.cols, table.cols());
  for (int64_t t = 0; t < out.rows; ++t) {
    CHECK(ids[t] >= 0 && ids[t] < table.rows()) << ids[t];
    DequantizeRow(static_cast<const PackedWeight&>(table), ids[t], out.data + t * out.cols);
  }
}

void CpuBackend::RmsNorm(Matrix x, const Vector& weight, float eps, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(x, out);
  const int64_t size = weight.size();
  CHECK(size > 0 && x.cols % size == 0) << x.cols << " by " << size;
  const auto norm = numerics_ == Numerics::kNative ? ops_.rms_norm_native : ops_.rms_norm_f32;
  const float* w = Values(weight).data();
  ForRows(x, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * x.cols; i < end * x.cols; i += size) {
      norm(x.data + i, w, size, eps, out.data + i);
    }
  });
}

void CpuBackend::MatMul(const Weight& weight, Matrix x, Matrix out) {
  Project(x, {{&weight, nullptr, out}});
}

void CpuBackend::Project(Matrix x, absl::Span<const Projection> projections) {
  if (!status_.ok()) return;
  absl::InlinedVector<MatMulTarget, 3> targets;
  for (const Projection& p : projections) {
    CHECK_EQ(x.rows, p.out.rows);
    CHECK_EQ(x.cols, p.weight->cols());
    CHECK_EQ(p.out.cols, p.weight->rows());
    targets.push_back({static_cast<const PackedWeight*>(p.weight), p.out.data});
  }
  kernels::MatMul(x.data, x.rows, targets, products_);
  for (const Projection& p : projections) {
    if (p.bias != nullptr) AddBias(*p.bias, p.out);
  }
}

void CpuBackend::AddBias(const Vector& bias, Matrix x) {
  if (!status_.ok()) return;
  CHECK_EQ(x.cols, bias.size());
  const float* b = Values(bias).data();
  ForRows(x, [&](int64_t begin, int64_t end) {
    for (float* row = x.data + begin * x.cols; row < x.data + end * x.cols; row += x.cols) {
      ops_.add(row, b, x.cols, row);
    }
  });
}

void CpuBackend::Rope(const RopeSpec& spec, int32_t head_size, absl::Span<const int32_t> positions,
                      Matrix x) {
  if (!status_.ok()) return;
  CHECK_EQ(x.rows, static_cast<int64_t>(positions.size()));
  CHECK(head_size > 0 && x.cols % head_size == 0) << x.cols << " by " << head_size;
  absl::Span<const float> factors;
  if (spec.factors != nullptr) factors = Values(*spec.factors);
  rope_.Prepare(spec, numerics_, factors, positions);
  ForRows(x, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      rope_.Rotate(t, x.cols / head_size, head_size, x.data + t * x.cols);
    }
  });
}

void CpuBackend::AppendKv(int32_t layer, Matrix k, Matrix v, absl::Span<const RowPlace> places) {
  if (!status_.ok()) return;
  CheckSameShape(k, v);
  CHECK_EQ(k.rows, static_cast<int64_t>(places.size()));
  if (places.empty()) return;
  const KvShape shape = static_cast<CpuKvCache*>(places[0].cache)->shape();
  const int64_t size = shape.head_size;
  CHECK_EQ(k.cols, size * shape.kv_heads);
  // By heads: two positions of one head may share a cache line, two heads never do.
  const int64_t heads_per_piece =
      std::max<int64_t>(1, kElementsPerPiece / std::max<int64_t>(1, k.rows * size));
  pool_.Run(
      shape.kv_heads,
      [&](int64_t begin, int64_t end, int) {
        for (int64_t g = begin; g < end; ++g) {
          for (int64_t t = 0; t < k.rows; ++t) {
            const int64_t offset = t * k.cols + g * size;
            static_cast<CpuKvCache*>(places[t].cache)
                ->Append(ops_, layer, g, places[t].position, k.data + offset, v.data + offset);
          }
        }
      },
      heads_per_piece);
}

void CpuBackend::Attention(const AttentionSpec& spec, Matrix q, absl::Span<const RowPlace> places,
                           Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(q, out);
  CHECK_EQ(q.rows, static_cast<int64_t>(places.size()));
  CHECK_EQ(q.cols, int64_t{spec.heads} * spec.head_size);
  CHECK(spec.kv_heads > 0 && spec.heads % spec.kv_heads == 0) << spec.heads;
  for (const RowPlace& place : places) {
    const KvShape& shape = static_cast<CpuKvCache*>(place.cache)->shape();
    CHECK(shape.kv_heads == spec.kv_heads && shape.head_size == spec.head_size);
    CHECK(place.position >= 0 && place.position < shape.capacity) << place.position;
    CHECK(spec.layer >= 0 && spec.layer < shape.layers) << spec.layer;
  }
  Attend(spec, numerics_, ops_, q, places, out, pool_, attention_);
}

void CpuBackend::GatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(gate, up);
  CheckSameShape(gate, out);
  const bool native = numerics_ == Numerics::kNative;
  const auto act = activation == Activation::kSilu ? (native ? ops_.silu_native : ops_.silu_f32)
                                                   : (native ? &GeluTimesNative : ops_.gelu_f32);
  ForRows(gate, [&](int64_t begin, int64_t end) {
    const int64_t i = begin * gate.cols;
    act(gate.data + i, up.data + i, (end - begin) * gate.cols, out.data + i);
  });
}

void CpuBackend::Add(Matrix a, Matrix b, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(a, b);
  CheckSameShape(a, out);
  ForRows(a, [&](int64_t begin, int64_t end) {
    const int64_t i = begin * a.cols;
    ops_.add(a.data + i, b.data + i, (end - begin) * a.cols, out.data + i);
  });
}

void CpuBackend::Scale(float factor, Matrix x) {
  if (!status_.ok()) return;
  for (int64_t i = 0; i < Elements(x); ++i) x.data[i] *= factor;
}

void CpuBackend::Tap(Matrix value, bool substitute, TapSink sink) {
  if (!status_.ok()) return;
  status_ = sink(absl::MakeSpan(value.data, Elements(value)), value.rows, value.cols);
}

void CpuBackend::Read(Matrix value, absl::Span<float> out) {
  if (!status_.ok()) return;
  CHECK_EQ(static_cast<int64_t>(out.size()), Elements(value));
  std::memcpy(out.data(), value.data, out.size() * sizeof(float));
}

void CpuBackend::TopK(Matrix x, int32_t k, absl::Span<TopValues> out) {
  if (!status_.ok()) return;
  CHECK_EQ(static_cast<int64_t>(out.size()), x.rows);
  CHECK(k >= 1 && k <= kMostTopK) << k;
  ForRows(x, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      out[t] = TopOf({x.data + t * x.cols, static_cast<size_t>(x.cols)}, k);
    }
  });
}

absl::Status CpuBackend::TakeStatus() {
  absl::Status status = std::move(status_);
  status_ = absl::OkStatus();
  return status;
}

}  // namespace parity::kernels
