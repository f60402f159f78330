// The CUDA engine's backend: own kernels on one card, cuBLAS for prefill.
//
// Native numerics: decode multiplies quantised weights with activations in int8 (one float scale
// per 32), F16, BF16 and F32 weights with float activations; steps of more than kMostVectorRows
// rows dequantise the weights to halves (bfloat16, floats for those types) for a dense product with
// float sums. Everything else is float, attention keeps probabilities in float. f32 numerics:
// double sums, but float ones in the dense product.
//
// So a row's bits depend on whether it stands in a short or a long step, not on the other rows of
// it; and the same calls give the same bits on the same card. Short steps that the caller announces
// (BeginStep) become one launch of a CUDA graph when they come again: ids, positions and the places
// of caches lie in device memory, nothing else changes.
#ifndef PARITY_KERNELS_CUDA_CUDA_BACKEND_H_
#define PARITY_KERNELS_CUDA_CUDA_BACKEND_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/launches.h"
#include "kernels/cuda/step_graphs.h"
#include "kernels/cuda/tap_ring.h"

namespace parity::kernels::cuda {

// Rows of a step that are multiplied straight from the packed weights; cuBLAS takes more.
inline constexpr int64_t kMostVectorRows = 8;

// A weight is dequantised and multiplied in pieces of rows of about this many elements.
inline constexpr int64_t kTileElements = 16 << 20;

// What is about to be allocated, in bytes, and what there is.
struct MemoryPlan {
  int64_t weights;
  int64_t working_memory;  // buffers and the backend's own
  int64_t free;
  std::string device;

  int64_t required() const { return weights + working_memory; }
  // "N bytes of device memory needed (weights A, working memory B), F free on NAME".
  std::string ToString() const;
};

struct CudaBackendOptions {
  Numerics numerics = Numerics::kNative;
  // Called once, on the thread that notices, when the device has failed for good.
  std::function<void(const absl::Status&)> on_broken;
  // Called by Prepare, before anything is allocated. May be empty.
  std::function<void(const MemoryPlan&)> on_plan;
  int64_t tile_elements = kTileElements;  // other only in tests
};

// After Prepare() a tap that substitutes nothing is shown later, on a thread of the backend's own
// and in order, at the latest when TakeStatus() returns; before, and where it is larger than the
// ring, at once.
//
// What it gave its caller (weights, buffers, caches) must be destroyed before it. See Backend
// for everything else.
class CudaBackend : public Backend {
 public:
  CudaBackend(std::unique_ptr<Device> device, CudaBackendOptions options);

  std::string name() const override { return "cuda"; }
  std::string compute_path() const override { return device_->name(); }
  int threads() const override { return 1; }  // of the host
  Numerics numerics() const override { return options_.numerics; }
  int64_t independent_rows() const override { return kMostVectorRows; }
  absl::Status Prepare(const WorkPlan& plan) override;

  absl::StatusOr<std::unique_ptr<Weight>> LoadWeight(const WeightSource& source) override;
  absl::StatusOr<std::unique_ptr<Vector>> LoadVector(absl::Span<const float> values) override;
  absl::StatusOr<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape) override;
  absl::StatusOr<std::unique_ptr<Buffer>> NewBuffer(int64_t elements) override;

  void Embed(const Weight& table, absl::Span<const int32_t> ids, Matrix out) override;
  void RmsNorm(Matrix x, const Vector& weight, float eps, Matrix out) override;
  void MatMul(const Weight& weight, Matrix x, Matrix out) override;
  void AddBias(const Vector& bias, Matrix x) override;
  void MatMulBias(const Weight& weight, const Vector& bias, Matrix x, Matrix out) override;
  void Rope(const RopeSpec& spec, int32_t head_size, absl::Span<const int32_t> positions,
            Matrix x) override;
  void AppendKv(int32_t layer, Matrix k, Matrix v, absl::Span<const RowPlace> places) override;
  void Attention(const AttentionSpec& spec, Matrix q, absl::Span<const RowPlace> places,
                 Matrix out) override;
  void GatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out) override;
  void Add(Matrix a, Matrix b, Matrix out) override;
  void AddRmsNorm(Matrix a, Matrix b, const Vector& weight, float eps, Matrix sum,
                  Matrix out) override;
  void Scale(float factor, Matrix x) override;
  StepStart BeginStep(const RepeatableStep& step) override;
  void EndStep() override;
  void Tap(Matrix value, bool substitute, TapSink sink) override;
  void Read(Matrix value, absl::Span<float> out) override;
  void TopK(Matrix x, int32_t k, absl::Span<TopValues> out) override;
  absl::Status TakeStatus() override;

 private:
  // Small arrays of a step, uploaded again only when they change: a step's layers share them.
  struct Uploaded {
    std::vector<uint8_t> bytes;
    Block block;
  };

  bool exact() const { return options_.numerics == Numerics::kF32; }
  Stream& stream() { return device_->stream(); }
  void Fail(absl::Status status);
  absl::Status Wait();
  // Device memory of at least `bytes`, kept for the next call; null after an error.
  void* Scratch(Block& block, int64_t bytes);
  // The device's copy of `values`; null after an error.
  template <typename T>
  const T* OnDevice(absl::Span<const T> values, Uploaded& uploaded);
  // Whoever writes to `out` says so: what was quantised of it is no longer what it holds.
  void Wrote(Matrix out);
  // bias: null for none.
  void Product(const Weight& weight, const float* bias, Matrix x, Matrix out);
  void VectorProduct(const WeightView& weight, const float* bias, Matrix x, Matrix out);
  void DenseProduct(const WeightView& weight, Matrix x, Matrix out);
  // Activations as the dense product's type; null after an error.
  const void* DenseActivations(GemmType type, Matrix x);
  // Waits for the value and gives it to the sink.
  void ShowNow(Matrix value, bool substitute, const TapSink& sink);
  // The caches and positions of rows; null after an error.
  const DevicePlace* Places(absl::Span<const RowPlace> places);
  // The tiles of Attend() for rows of these places; null after an error.
  const RowTile* Tiles(absl::Span<const RowPlace> places, int32_t most_rows, int32_t& count);

  std::unique_ptr<Device> device_;
  const CudaBackendOptions options_;
  bool broken_ = false;  // and reported
  absl::Status status_;
  Uploaded ids_, positions_, places_, tiles_;
  Block activations_, factors_, weights_, partials_, top_;
  Matrix quantised_;  // the rows that activations_ holds in int8; several products read the same
  StepGraphs graphs_;
  std::unique_ptr<TapRing> ring_;  // null before Prepare()
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_CUDA_BACKEND_H_
