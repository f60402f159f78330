// Holds a fuzz target to the memory a hostile input may cost.
#ifndef PARITY_TESTS_FUZZ_MEMORY_BOUND_H_
#define PARITY_TESTS_FUZZ_MEMORY_BOUND_H_

#include <cstddef>

namespace parity::fuzz {

// While one lives, all threads' live allocations together may grow by at most
// input_bytes + 64 MiB; the allocation that goes past it ends the process. Counts only under
// AddressSanitizer, whose allocator tells of every allocation; without it this does nothing.
// At most one at a time.
class MemoryBound {
 public:
  explicit MemoryBound(size_t input_bytes);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;
};

// Whether this build counts.
bool CountsMemory();

}  // namespace parity::fuzz

#endif  // PARITY_TESTS_FUZZ_MEMORY_BOUND_H_
