// Asks for memory before it is used; wrong addresses do no harm.
#ifndef PARITY_KERNELS_CPU_PREFETCH_H_
#define PARITY_KERNELS_CPU_PREFETCH_H_

#include <cstdint>

namespace parity::kernels {

inline constexpr int64_t kCacheLine = 64;  // bytes

inline void PrefetchToRead(const void* from, int64_t bytes) {
  const char* const at = static_cast<const char*>(from);
  for (int64_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(at + i);
}

inline void PrefetchToWrite(const void* from, int64_t bytes) {
  const char* const at = static_cast<const char*>(from);
  for (int64_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(at + i, 1);
}

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_PREFETCH_H_
