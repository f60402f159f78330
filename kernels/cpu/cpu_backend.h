// The embedded engine's backend: the CPU this process runs on.
#ifndef PARITY_KERNELS_CPU_CPU_BACKEND_H_
#define PARITY_KERNELS_CPU_CPU_BACKEND_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/quantize.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/simd_path.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/vector_ops.h"
#include "kernels/cpu/weight_memory.h"

namespace parity::kernels {

struct CpuOptions {
  int threads = 1;  // the caller included
  Numerics numerics = Numerics::kNative;
  // Absent: the widest this machine runs. The bits are the same on all.
  std::optional<SimdPath> path;
  // Other than kLlama only in tests that plant an error.
  ActivationQuantization activations = ActivationQuantization::kLlama;
};

// Taps call their sink at once, on the calling thread. See Backend for everything else.
class CpuBackend : public Backend {
 public:
  // INVALID_ARGUMENT for a thread count outside 1..1024, UNAVAILABLE for a path this machine lacks.
  static absl::StatusOr<std::unique_ptr<CpuBackend>> Create(const CpuOptions& options);

  std::string name() const override { return "cpu"; }
  std::string compute_path() const override { return Name(path_); }
  int threads() const override { return pool_.threads(); }
  Numerics numerics() const override { return numerics_; }

  absl::StatusOr<std::unique_ptr<Weight>> LoadWeight(const WeightSource& source) override;
  absl::StatusOr<std::unique_ptr<Vector>> LoadVector(absl::Span<const float> values) override;
  absl::StatusOr<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape) override;
  absl::StatusOr<std::unique_ptr<Buffer>> NewBuffer(int64_t elements) override;

  void Embed(const Weight& table, absl::Span<const int32_t> ids, Matrix out) override;
  void RmsNorm(Matrix x, const Vector& weight, float eps, Matrix out) override;
  void MatMul(const Weight& weight, Matrix x, Matrix out) override;
  void Project(Matrix x, absl::Span<const Projection> projections) override;
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
  absl::Status TakeStatus() override;

 private:
  CpuBackend(const CpuOptions& options, SimdPath path);

  // Calls body(first row, last row) for pieces of [0, rows) that are worth a thread's while.
  void ForRows(Matrix shape, absl::FunctionRef<void(int64_t, int64_t)> body);

  const SimdPath path_;
  const Numerics numerics_;
  const VectorOps& ops_;
  ThreadPool pool_;
  WeightMemory weight_memory_;
  MatMulContext products_;
  AttentionScratch attention_;
  RopeTable rope_;
  absl::Status status_;
};

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_CPU_BACKEND_H_
