// Weights repacked at load into groups of 16 output rows, for the CPU products.
#ifndef PARITY_KERNELS_CPU_PACKED_WEIGHT_H_
#define PARITY_KERNELS_CPU_PACKED_WEIGHT_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/weight_layout.h"
#include "kernels/cpu/weight_memory.h"

namespace parity::kernels {

// A weight in the layout of the products; one that is not multiplied is its source alone.
// Immutable, so any number of threads may read it. Keeps the source's span: the mapped file must
// outlive it.
class PackedWeight : public Weight {
 public:
  int64_t resident_bytes() const override { return bytes_; }

  const WeightSource& source() const { return source_; }
  const WeightLayout& layout() const { return layout_; }

  int64_t groups() const { return groups_; }  // ceil(rows / 16)
  int64_t blocks() const { return blocks_; }  // blocks of one row, the last padded with zeros
  int64_t group_bytes() const { return blocks_ * layout_.group_block_bytes; }
  // The blocks of 16 rows, in order of columns; 64-byte aligned. Rows past the last are zeros.
  // REQUIRES: source().multiplied.
  const uint8_t* group(int64_t index) const { return data_.get() + index * group_bytes(); }

 private:
  friend absl::StatusOr<std::unique_ptr<PackedWeight>> PackWeight(const WeightSource& source,
                                                                  Numerics numerics,
                                                                  ThreadPool* pool,
                                                                  WeightMemory* memory);

  PackedWeight(const WeightSource& source, const WeightLayout& layout);

  WeightSource source_;
  const WeightLayout& layout_;
  int64_t groups_;
  int64_t blocks_;
  int64_t bytes_ = 0;
  std::shared_ptr<uint8_t> data_;
};

// Repacks `source`. UNIMPLEMENTED naming tensor and type where there is no product for the type;
// INVALID_ARGUMENT where rows, cols and bytes do not fit each other; RESOURCE_EXHAUSTED naming the
// bytes when memory is short. Both numerics share one layout. `pool` may be null: then the calling
// thread packs alone. `memory` may be null: then the weight has memory of its own.
absl::StatusOr<std::unique_ptr<PackedWeight>> PackWeight(const WeightSource& source,
                                                         Numerics numerics,
                                                         ThreadPool* pool = nullptr,
                                                         WeightMemory* memory = nullptr);

// out[0..cols) = row `row`, dequantised from the source's own bytes. REQUIRES: 0 <= row <
// weight.rows().
void DequantizeRow(const PackedWeight& weight, int64_t row, float* out);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PACKED_WEIGHT_H_
