// Memory for packed weights, in few large pieces that ask for huge pages.
#ifndef PARITY_KERNELS_CPU_WEIGHT_MEMORY_H_
#define PARITY_KERNELS_CPU_WEIGHT_MEMORY_H_

#include <cstdint>
#include <memory>

namespace parity::kernels {

// A token streams all weights, and most are smaller than a huge page: one after the other in a
// large piece they share them. In weights of its own SmolLM2 decodes at 0.78 of the speed, for the
// walks through the page tables.
//
// Threading: one caller at a time. What was allocated outlives this object.
class WeightMemory {
 public:
  // `piece_bytes` of address space a piece, or as many as a weight needs. What no weight lies in is
  // never touched, but for the rest of a huge page.
  explicit WeightMemory(int64_t piece_bytes = int64_t{32} << 20) : piece_bytes_(piece_bytes) {}

  // 64-byte aligned zeros; null when there is none. A piece goes back when the last of
  // what lies in it does. REQUIRES: bytes >= 1.
  std::shared_ptr<uint8_t> Allocate(int64_t bytes);

 private:
  const int64_t piece_bytes_;
  std::shared_ptr<uint8_t> piece_;
  uint8_t* next_ = nullptr;  // what is left of it
  int64_t left_ = 0;         // bytes
};

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_WEIGHT_MEMORY_H_
