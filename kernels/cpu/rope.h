// Rotary position embedding.
#ifndef PARITY_KERNELS_CPU_ROPE_H_
#define PARITY_KERNELS_CPU_ROPE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/backend.h"

namespace parity::kernels {

// Cosines and sines of one step's positions, kept between calls: every layer asks for the same
// ones, or for one of two (layers with a window rotate by a base of their own). Threading: Prepare
// from one thread; Rotate beside Rotate.
class RopeTable {
 public:
  // Computes the table unless it holds these values already. factors: [dims / 2] or empty.
  // native: angles by repeated float multiplication, as ggml_rope_cache_init; f32: in double.
  void Prepare(const RopeSpec& spec, Numerics numerics, absl::Span<const float> factors,
               absl::Span<const int32_t> positions);

  // Rotates the `heads` heads of row t in place. x: [heads * head_size]. REQUIRES: Prepare'd,
  // head_size >= spec.dims.
  void Rotate(int64_t t, int64_t heads, int32_t head_size, float* x) const;

 private:
  struct Table {
    RopeSpec spec;
    Numerics numerics = Numerics::kNative;
    std::vector<float> factors;
    std::vector<int32_t> positions;
    std::vector<double> values;  // [T][dims / 2][cosine, sine]

    void Fill();
    void RowNative(int32_t position, double* row) const;
    void RowF32(int32_t position, double* row) const;
  };

  Table tables_[2];
  int current_ = 0;
};

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_ROPE_H_
