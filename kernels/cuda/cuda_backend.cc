#include "kernels/cuda/cuda_backend.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/top_result.h"
#include "kernels/top_k.h"
#include "proto/status/status_macros.h"

namespace parity::kernels::cuda {
namespace {

int64_t Elements(Matrix m) { return m.rows * m.cols; }

void CheckSameShape(Matrix a, Matrix b) {
  CHECK_EQ(a.rows, b.rows);
  CHECK_EQ(a.cols, b.cols);
}

const float* Values(const Vector& vector) {
  return static_cast<const DeviceVector&>(vector).data();
}

const WeightView& ViewOf(const Weight& weight) {
  return static_cast<const DeviceWeight&>(weight).view();
}

bool IsFloatType(DType dtype) { return Traits(dtype).block_elements == 1; }

// In which type a long step multiplies.
GemmType DenseType(DType dtype, Numerics numerics) {
  if (numerics == Numerics::kF32 || dtype == DType::kF32) return GemmType::kFloat;
  return dtype == DType::kBF16 ? GemmType::kBf16 : GemmType::kHalf;
}

// Whether the weight lies in memory as the dense product reads it.
bool IsDense(DType dtype, GemmType type) {
  return (type == GemmType::kFloat && dtype == DType::kF32) ||
         (type == GemmType::kHalf && dtype == DType::kF16) ||
         (type == GemmType::kBf16 && dtype == DType::kBF16);
}

TileType TileOf(GemmType type) {
  switch (type) {
    case GemmType::kFloat:
      return TileType::kFloat;
    case GemmType::kHalf:
      return TileType::kHalf;
    case GemmType::kBf16:
      return TileType::kBf16;
  }
  return TileType::kFloat;
}

// The ring of taps: a few steps of one row of a small model, as much as keeps copies going for a
// large one.
constexpr int64_t kLeastRingBytes = 64 << 10;
constexpr int64_t kMostRingBytes = 16 << 20;

// What the ops of a plan take beside its weights and buffers.
struct WorkBytes {
  int64_t activations, factors, weights, partials, top;
  int64_t ids, places, tiles;
  int64_t ring;
  int64_t total() const {
    return activations + factors + weights + partials + top + 2 * ids + places + tiles + ring;
  }
};

// Of the largest values of rows: what is brought to the host, first the keys, then the sums.
int64_t TopKeyBytes(int64_t rows, int32_t k) {
  return rows * k * static_cast<int64_t>(sizeof(TopKey));
}
int64_t TopBytes(int64_t rows, int64_t cols, int32_t k) {
  return TopKeyBytes(rows, k) + rows * TopSlices(cols) * static_cast<int64_t>(sizeof(SliceSum));
}

WorkBytes BytesOf(const WorkPlan& plan, int64_t tile_elements, bool exact) {
  constexpr int64_t kFloat = sizeof(float);
  const int64_t split_rows = std::min<int64_t>(plan.most_rows, kMostSplitRows);
  AttentionCall widest = {};
  widest.layout.head_size = plan.head_size;
  widest.heads = plan.heads;
  widest.rows = static_cast<int32_t>(split_rows);
  widest.splits = SplitsFor(plan.most_positions, 0);
  widest.exact = exact;
  WorkBytes bytes = {};
  // Halves in long steps; int8 with a scale per chunk in short ones.
  bytes.activations = plan.most_rows * plan.widest_input * 2;
  bytes.factors = std::max(plan.most_rows, split_rows * plan.widest_input / kChunk) * kFloat;
  if (plan.most_rows > kMostVectorRows) {
    const int64_t tile = std::max(tile_elements, plan.widest_input);
    bytes.weights = std::min(tile, plan.largest_product) * (exact ? kFloat : 2);
  }
  bytes.partials = PartialBytes(widest);
  bytes.top = TopBytes(plan.top_rows, plan.vocabulary, kMostTopK) +
              TopScratchBytes(plan.top_rows, plan.vocabulary, kMostTopK);
  bytes.ids = plan.most_rows * static_cast<int64_t>(sizeof(int32_t));
  bytes.places = plan.most_rows * static_cast<int64_t>(sizeof(DevicePlace));
  bytes.tiles = plan.most_rows * static_cast<int64_t>(sizeof(RowTile));
  bytes.ring = std::clamp(plan.buffer_bytes, kLeastRingBytes, kMostRingBytes);
  return bytes;
}

std::vector<RowTile> TilesOf(absl::Span<const RowPlace> places, int32_t most_rows) {
  std::vector<RowTile> tiles;
  for (int32_t t = 0; t < static_cast<int32_t>(places.size()); ++t) {
    const bool joins = !tiles.empty() && tiles.back().rows < most_rows &&
                       places[tiles.back().first].cache == places[t].cache;
    if (!joins) tiles.push_back({t, 0});
    ++tiles.back().rows;
  }
  return tiles;
}

}  // namespace

CudaBackend::CudaBackend(std::unique_ptr<Device> device, CudaBackendOptions options)
    : device_(std::move(device)), options_(std::move(options)), graphs_(*device_) {}

std::string MemoryPlan::ToString() const {
  return absl::StrCat(required(), " bytes of device memory needed (weights ", weights,
                      ", working memory ", working_memory, "), ", free, " free on ", device);
}

absl::Status CudaBackend::Prepare(const WorkPlan& plan) {
  const WorkBytes work = BytesOf(plan, options_.tile_elements, exact());
  const DeviceMemory memory = device_->memory();
  const MemoryPlan all = {plan.weight_bytes, plan.buffer_bytes + work.total(), memory.free_bytes,
                          device_->name() + (memory.limited ? " within --gpu-memory-limit" : "")};
  if (options_.on_plan) options_.on_plan(all);
  if (all.required() > all.free) return absl::ResourceExhaustedError(all.ToString());
  const std::pair<Block*, int64_t> blocks[] = {{&activations_, work.activations},
                                               {&factors_, work.factors},
                                               {&weights_, work.weights},
                                               {&partials_, work.partials},
                                               {&top_, work.top},
                                               {&ids_.block, work.ids},
                                               {&positions_.block, work.ids},
                                               {&places_.block, work.places},
                                               {&tiles_.block, work.tiles}};
  for (const auto& [block, bytes] : blocks) {
    if (bytes > 0) Scratch(*block, bytes);
  }
  ASSIGN_OR_RETURN(ring_, TapRing::Create(*device_, work.ring));
  return std::exchange(status_, absl::OkStatus());
}

absl::Status CudaBackend::Wait() {
  absl::Status status = device_->Wait();
  if (!status.ok() && !std::exchange(broken_, true) && options_.on_broken) {
    options_.on_broken(status);
  }
  return status;
}

void CudaBackend::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void CudaBackend::Wrote(Matrix out) {
  const bool apart = out.data >= quantised_.data + Elements(quantised_) ||
                     out.data + Elements(out) <= quantised_.data;
  if (!apart) quantised_ = {};
}

void* CudaBackend::Scratch(Block& block, int64_t bytes) {
  if (block.as<void>() != nullptr && block.bytes() >= bytes) return block.as<void>();
  CHECK(!graphs_.recording()) << "the step ran before, with less memory";
  graphs_.Forget();
  quantised_ = {};
  block = Block();  // before the larger one is asked for
  auto larger = Block::Allocate(*device_, bytes);
  if (!larger.ok()) {
    Fail(absl::Status(larger.status().code(),
                      absl::StrCat("working memory: ", larger.status().message())));
    return nullptr;
  }
  block = *std::move(larger);
  return block.as<void>();
}

template <typename T>
const T* CudaBackend::OnDevice(absl::Span<const T> values, Uploaded& uploaded) {
  const int64_t bytes = static_cast<int64_t>(values.size() * sizeof(T));
  const bool same = static_cast<int64_t>(uploaded.bytes.size()) == bytes &&
                    std::memcmp(uploaded.bytes.data(), values.data(), bytes) == 0;
  if (same && bytes > 0) return uploaded.block.as<T>();
  CHECK(!graphs_.recording()) << "a recorded step reads what BeginStep() was not given";
  if (Scratch(uploaded.block, bytes) == nullptr) return nullptr;
  const auto* const from = reinterpret_cast<const uint8_t*>(values.data());
  uploaded.bytes.assign(from, from + bytes);
  device_->Upload(from, bytes, uploaded.block.as<void>());
  return uploaded.block.as<T>();
}

absl::StatusOr<std::unique_ptr<Weight>> CudaBackend::LoadWeight(const WeightSource& source) {
  ASSIGN_OR_RETURN(std::unique_ptr<Weight> weight, DeviceWeight::Load(*device_, source));
  return weight;
}

absl::StatusOr<std::unique_ptr<Vector>> CudaBackend::LoadVector(absl::Span<const float> values) {
  ASSIGN_OR_RETURN(std::unique_ptr<Vector> vector, DeviceVector::Load(*device_, values));
  return vector;
}

absl::StatusOr<std::unique_ptr<KvCache>> CudaBackend::NewKvCache(const KvShape& shape) {
  ASSIGN_OR_RETURN(std::unique_ptr<KvCache> cache, DeviceKvCache::Create(*device_, shape));
  return cache;
}

absl::StatusOr<std::unique_ptr<Buffer>> CudaBackend::NewBuffer(int64_t elements) {
  graphs_.Forget();  // the caller's buffers move
  quantised_ = {};
  ASSIGN_OR_RETURN(std::unique_ptr<Buffer> buffer, DeviceBuffer::Create(*device_, elements));
  return buffer;
}

void CudaBackend::Embed(const Weight& table, absl::Span<const int32_t> ids, Matrix out) {
  if (!status_.ok()) return;
  CHECK_EQ(out.rows, static_cast<int64_t>(ids.size()));
  CHECK_EQ(out.cols, table.cols());
  for (int32_t id : ids) CHECK(id >= 0 && id < table.rows()) << id;
  if (Elements(out) == 0) return;
  const int32_t* const on_device = OnDevice(ids, ids_);
  if (on_device == nullptr) return;
  Wrote(out);
  EmbedRows(stream(), ViewOf(table), on_device, out.rows, out.data);
}

void CudaBackend::RmsNorm(Matrix x, const Vector& weight, float eps, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(x, out);
  CHECK(weight.size() > 0 && x.cols % weight.size() == 0) << x.cols << " by " << weight.size();
  if (Elements(x) == 0) return;
  Wrote(out);
  RmsNormGroups(stream(), x.data, Values(weight), Elements(x) / weight.size(), weight.size(), eps,
                exact(), out.data);
}

void CudaBackend::AddRmsNorm(Matrix a, Matrix b, const Vector& weight, float eps, Matrix sum,
                             Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(a, b);
  CheckSameShape(a, sum);
  CheckSameShape(a, out);
  CHECK(weight.size() > 0 && a.cols % weight.size() == 0) << a.cols << " by " << weight.size();
  if (Elements(a) == 0) return;
  Wrote(sum);
  Wrote(out);
  AddRmsNormGroups(stream(), a.data, b.data, Values(weight), Elements(a) / weight.size(),
                   weight.size(), eps, exact(), sum.data, out.data);
}

void CudaBackend::MatMul(const Weight& weight, Matrix x, Matrix out) {
  Product(weight, nullptr, x, out);
}

void CudaBackend::MatMulBias(const Weight& weight, const Vector& bias, Matrix x, Matrix out) {
  CHECK_EQ(weight.rows(), bias.size());
  Product(weight, Values(bias), x, out);
}

void CudaBackend::Product(const Weight& weight, const float* bias, Matrix x, Matrix out) {
  if (!status_.ok()) return;
  CHECK_EQ(x.rows, out.rows);
  CHECK_EQ(x.cols, weight.cols());
  CHECK_EQ(out.cols, weight.rows());
  if (Elements(out) == 0) return;
  Wrote(out);
  if (x.rows <= kMostVectorRows) {
    VectorProduct(ViewOf(weight), bias, x, out);
  } else {
    DenseProduct(ViewOf(weight), x, out);
    if (bias != nullptr && status_.ok()) AddBiasRows(stream(), bias, out.rows, out.cols, out.data);
  }
}

void CudaBackend::VectorProduct(const WeightView& weight, const float* bias, Matrix x, Matrix out) {
  if (exact()) return DoubleProduct(stream(), weight, bias, x.data, x.rows, out.data);
  if (IsFloatType(weight.dtype)) {
    return FloatProduct(stream(), weight, bias, x.data, x.rows, out.data);
  }
  const bool known =
      quantised_.data == x.data && quantised_.rows == x.rows && quantised_.cols == x.cols;
  auto* const q = static_cast<int8_t*>(Scratch(activations_, Elements(x)));
  auto* const scales =
      static_cast<float*>(Scratch(factors_, Elements(x) / kChunk * int64_t{sizeof(float)}));
  if (q == nullptr || scales == nullptr) return;
  if (!known) QuantizeRows(stream(), x.data, x.rows, x.cols, q, scales);
  quantised_ = x;
  Int8Product(stream(), weight, bias, q, scales, x.rows, out.data);
}

const void* CudaBackend::DenseActivations(GemmType type, Matrix x) {
  if (type == GemmType::kFloat) return x.data;
  quantised_ = {};  // the memory is shared
  auto* const values = static_cast<uint16_t*>(Scratch(activations_, Elements(x) * 2));
  if (values == nullptr) return nullptr;
  if (type == GemmType::kBf16) {
    RowsToBf16(stream(), x.data, x.rows, x.cols, values);
    return values;
  }
  auto* const factors =
      static_cast<float*>(Scratch(factors_, x.rows * static_cast<int64_t>(sizeof(float))));
  if (factors == nullptr) return nullptr;
  RowsToHalf(stream(), x.data, x.rows, x.cols, values, factors);
  return values;
}

void CudaBackend::DenseProduct(const WeightView& weight, Matrix x, Matrix out) {
  const GemmType type = DenseType(weight.dtype, numerics());
  const int64_t element = type == GemmType::kFloat ? 4 : 2;
  const void* const activations = DenseActivations(type, x);
  if (activations == nullptr) return;
  GemmCall call = {.type = type, .inputs = x.cols, .rows = x.rows, .x = activations};
  call.out_stride = out.cols;
  const bool dense = IsDense(weight.dtype, type);
  const int64_t tile_rows = options_.tile_elements / std::max<int64_t>(1, x.cols);
  const int64_t at_once = dense ? out.cols : std::clamp<int64_t>(tile_rows, 1, out.cols);
  for (int64_t first = 0; first < out.cols; first += at_once) {
    call.outputs = std::min(at_once, out.cols - first);
    call.weight = weight.body;
    call.out = out.data + first;
    if (!dense) {
      void* const tile = Scratch(weights_, at_once * x.cols * element);
      if (tile == nullptr) return;
      DequantizeRows(stream(), weight, first, call.outputs, TileOf(type), tile);
      call.weight = tile;
    }
    const absl::Status status = device_->gemm().Multiply(call);
    if (!status.ok()) return Fail(status);
  }
  if (type == GemmType::kHalf) {
    ScaleRows(stream(), factors_.as<float>(), out.rows, out.cols, out.data);
  }
}

void CudaBackend::AddBias(const Vector& bias, Matrix x) {
  if (!status_.ok()) return;
  CHECK_EQ(x.cols, bias.size());
  Wrote(x);
  if (Elements(x) > 0) AddBiasRows(stream(), Values(bias), x.rows, x.cols, x.data);
}

void CudaBackend::Rope(const RopeSpec& spec, int32_t head_size, absl::Span<const int32_t> positions,
                       Matrix x) {
  if (!status_.ok()) return;
  CHECK_EQ(x.rows, static_cast<int64_t>(positions.size()));
  CHECK(head_size > 0 && x.cols % head_size == 0) << x.cols << " by " << head_size;
  CHECK(spec.dims >= 0 && spec.dims % 2 == 0 && spec.dims <= head_size) << spec.dims;
  CHECK(spec.factors == nullptr || spec.factors->size() == spec.dims / 2);
  if (Elements(x) == 0 || spec.dims == 0) return;
  const int32_t* const on_device = OnDevice(positions, positions_);
  if (on_device == nullptr) return;
  const RopeParameters rope = {spec.pairing == RopePairing::kAdjacent, spec.dims, spec.base,
                               spec.freq_scale,
                               spec.factors != nullptr ? Values(*spec.factors) : nullptr};
  Wrote(x);
  RopeRows(stream(), rope, on_device, x.rows, x.cols / head_size, head_size, exact(), x.data);
}

const DevicePlace* CudaBackend::Places(absl::Span<const RowPlace> places) {
  std::vector<DevicePlace> on_device;
  for (const RowPlace& place : places) {
    const auto& cache = *static_cast<DeviceKvCache*>(place.cache);
    CHECK(place.position >= 0 && place.position < cache.capacity()) << place.position;
    on_device.push_back({cache.keys(), cache.values(), place.position, cache.capacity()});
  }
  return OnDevice<DevicePlace>(on_device, places_);
}

const RowTile* CudaBackend::Tiles(absl::Span<const RowPlace> places, int32_t most_rows,
                                  int32_t& count) {
  const std::vector<RowTile> tiles = TilesOf(places, most_rows);
  count = static_cast<int32_t>(tiles.size());
  return OnDevice<RowTile>(tiles, tiles_);
}

StepStart CudaBackend::BeginStep(const RepeatableStep& step) {
  const auto rows = static_cast<int64_t>(step.places.size());
  static_assert(kMostVectorRows <= kMostSplitRows);
  if (!status_.ok() || rows == 0 || rows > kMostVectorRows) return StepStart::kPlain;
  CHECK(step.ids.size() == step.places.size() && step.positions.size() == step.places.size());
  quantised_ = {};  // a recording begins with nothing
  int32_t end = 0, tiles = 0;
  for (const RowPlace& place : step.places) end = std::max(end, place.position + 1);
  // What the ops find on the device already, at places that stay.
  const bool there = OnDevice(step.ids, ids_) != nullptr &&
                     OnDevice(step.positions, positions_) != nullptr &&
                     Places(step.places) != nullptr && Tiles(step.places, 1, tiles) != nullptr;
  if (!there) return StepStart::kPlain;
  return graphs_.Begin({step.key, SplitsFor(end, 0)});
}

void CudaBackend::EndStep() { graphs_.End(status_.ok()); }

void CudaBackend::AppendKv(int32_t layer, Matrix k, Matrix v, absl::Span<const RowPlace> places) {
  if (!status_.ok()) return;
  CheckSameShape(k, v);
  CHECK_EQ(k.rows, static_cast<int64_t>(places.size()));
  if (places.empty()) return;
  const KvShape& shape = static_cast<DeviceKvCache*>(places[0].cache)->shape();
  CHECK_EQ(k.cols, int64_t{shape.head_size} * shape.kv_heads);
  CHECK(layer >= 0 && layer < shape.layers) << layer;
  const DevicePlace* const on_device = Places(places);
  if (on_device == nullptr) return;
  AppendRows(stream(), {layer, shape.kv_heads, shape.head_size, shape.type == KvType::kF16}, k.data,
             v.data, on_device, k.rows);
}

void CudaBackend::Attention(const AttentionSpec& spec, Matrix q, absl::Span<const RowPlace> places,
                            Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(q, out);
  CHECK_EQ(q.rows, static_cast<int64_t>(places.size()));
  CHECK_EQ(q.cols, int64_t{spec.heads} * spec.head_size);
  CHECK(spec.kv_heads > 0 && spec.heads % spec.kv_heads == 0) << spec.heads;
  if (places.empty()) return;
  const KvShape& shape = static_cast<DeviceKvCache*>(places[0].cache)->shape();
  CHECK(shape.kv_heads == spec.kv_heads && shape.head_size == spec.head_size);
  CHECK(spec.layer >= 0 && spec.layer < shape.layers) << spec.layer;

  AttentionCall call = {};
  call.layout = {spec.layer, spec.kv_heads, spec.head_size, shape.type == KvType::kF16};
  call.heads = spec.heads;
  call.scale = spec.scale;
  call.window = spec.window;
  call.q = q.data;
  call.out = out.data;
  call.rows = static_cast<int32_t>(q.rows);
  call.exact = exact();
  for (const RowPlace& place : places) {
    call.end_position = std::max(call.end_position, place.position + 1);
  }
  call.tile_rows = AttentionTileRows(call);
  Wrote(out);
  call.places = Places(places);
  call.tiles = Tiles(places, call.tile_rows, call.tile_count);
  if (call.places == nullptr || call.tiles == nullptr) return;
  if (call.rows <= kMostSplitRows) {
    call.splits = SplitsFor(call.end_position, call.window);
    call.partials = Scratch(partials_, PartialBytes(call));
    if (call.partials == nullptr) return;
  }
  Attend(stream(), call);
}

void CudaBackend::GatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(gate, up);
  CheckSameShape(gate, out);
  if (Elements(gate) == 0) return;
  Wrote(out);
  const auto op = activation == Activation::kSilu ? SiluTimes : GeluTanhTimes;
  op(stream(), gate.data, up.data, Elements(gate), exact(), out.data);
}

void CudaBackend::Add(Matrix a, Matrix b, Matrix out) {
  if (!status_.ok()) return;
  CheckSameShape(a, b);
  CheckSameShape(a, out);
  Wrote(out);
  if (Elements(a) > 0) AddRows(stream(), a.data, b.data, Elements(a), out.data);
}

void CudaBackend::Scale(float factor, Matrix x) {
  if (!status_.ok()) return;
  Wrote(x);
  if (Elements(x) > 0) ScaleAll(stream(), factor, Elements(x), x.data);
}

void CudaBackend::Tap(Matrix value, bool substitute, TapSink sink) {
  if (!status_.ok()) return;
  if (ring_ != nullptr && !substitute && ring_->Fits(value)) {
    ring_->Push(value, std::move(sink));
  } else {
    ShowNow(value, substitute, sink);
  }
}

void CudaBackend::ShowNow(Matrix value, bool substitute, const TapSink& sink) {
  // Those before it come first.
  const absl::Status shown = ring_ != nullptr ? ring_->Drain() : absl::OkStatus();
  if (!shown.ok()) return Fail(shown);
  const int64_t bytes = Elements(value) * static_cast<int64_t>(sizeof(float));
  std::vector<float> values(Elements(value));
  device_->Download(value.data, bytes, values.data());
  // What a failed card left would be observed as if it had been computed.
  if (absl::Status status = Wait(); !status.ok()) return Fail(std::move(status));
  if (absl::Status status = sink(absl::MakeSpan(values), value.rows, value.cols); !status.ok()) {
    return Fail(std::move(status));
  }
  if (!substitute) return;
  Wrote(value);
  device_->Upload(values.data(), bytes, value.data);
}

void CudaBackend::Read(Matrix value, absl::Span<float> out) {
  if (!status_.ok()) return;
  CHECK_EQ(static_cast<int64_t>(out.size()), Elements(value));
  device_->Download(value.data, Elements(value) * static_cast<int64_t>(sizeof(float)), out.data());
}

void CudaBackend::TopK(Matrix x, int32_t k, absl::Span<TopValues> out) {
  if (!status_.ok()) return;
  CHECK_EQ(static_cast<int64_t>(out.size()), x.rows);
  CHECK(x.cols >= 1 && k >= 1 && k <= kMostTopK) << k << " of " << x.cols;
  if (x.rows == 0) return;
  const int64_t bytes = TopBytes(x.rows, x.cols, k);
  auto* const result =
      static_cast<uint8_t*>(Scratch(top_, bytes + TopScratchBytes(x.rows, x.cols, k)));
  if (result == nullptr) return;
  const int64_t key_bytes = TopKeyBytes(x.rows, k);
  TopOfRows(stream(), {.x = x.data,
                       .rows = x.rows,
                       .cols = x.cols,
                       .k = k,
                       .scratch = result + bytes,
                       .keys = reinterpret_cast<TopKey*>(result),
                       .sums = reinterpret_cast<SliceSum*>(result + key_bytes)});
  const int64_t slices = TopSlices(x.cols);
  std::vector<TopKey> keys(bytes / sizeof(TopKey));  // and the sums: one copy, one wait
  device_->Download(result, bytes, keys.data());
  std::vector<SliceSum> sums(x.rows * slices);
  std::memcpy(sums.data(), keys.data() + x.rows * k, bytes - key_bytes);
  for (int64_t t = 0; t < x.rows; ++t) {
    out[t] = TopOfKeys(absl::MakeConstSpan(keys).subspan(t * k, k),
                       absl::MakeConstSpan(sums).subspan(t * slices, slices));
  }
}

absl::Status CudaBackend::TakeStatus() {
  absl::Status late = Wait();
  if (ring_ != nullptr) {
    if (absl::Status shown = ring_->Drain(); !shown.ok()) Fail(std::move(shown));
  }
  absl::Status status = std::exchange(status_, absl::OkStatus());
  return status.ok() ? late : status;
}

}  // namespace parity::kernels::cuda
