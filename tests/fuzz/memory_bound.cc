#include "tests/fuzz/memory_bound.h"

#include <glog/logging.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#ifdef __has_feature  // Clang's spelling of GCC's __SANITIZE_ADDRESS__
#if __has_feature(address_sanitizer)
#define PARITY_COUNTS_MEMORY 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define PARITY_COUNTS_MEMORY 1
#endif

#ifdef PARITY_COUNTS_MEMORY
// sanitizer/allocator_interface.h, which GCC does not install.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_allocate)(const volatile void*,
                                                                             size_t),
                                                         void (*on_free)(const volatile void*));
extern "C" size_t __sanitizer_get_allocated_size(const volatile void* pointer);
#endif

namespace parity::fuzz {

#ifdef PARITY_COUNTS_MEMORY

namespace {

constexpr int64_t kAllowance = int64_t{64} << 20;

std::atomic<int64_t> live_bytes = 0;
std::atomic<int64_t> most_bytes = INT64_MAX;

// Called inside the allocator: may not allocate.
void OnAllocate(const volatile void*, size_t bytes) {
  const int64_t live = live_bytes += static_cast<int64_t>(bytes);
  const int64_t most = most_bytes;
  if (live <= most) return;
  most_bytes = INT64_MAX;
  std::fprintf(stderr, "MemoryBound: %lld bytes alive, at most %lld allowed; the last were %zu\n",
               static_cast<long long>(live), static_cast<long long>(most), bytes);
  std::abort();
}

void OnFree(const volatile void* pointer) {
  if (pointer == nullptr) return;
  live_bytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(pointer));
}

}  // namespace

MemoryBound::MemoryBound(size_t input_bytes) {
  static const bool installed = [] {
    return __sanitizer_install_malloc_and_free_hooks(OnAllocate, OnFree) != 0;
  }();
  CHECK(installed);
  CHECK_EQ(most_bytes, INT64_MAX);
  most_bytes = live_bytes + static_cast<int64_t>(input_bytes) + kAllowance;
}

MemoryBound::~MemoryBound() { most_bytes = INT64_MAX; }

bool CountsMemory() { return true; }

#else

MemoryBound::MemoryBound(size_t) {}
MemoryBound::~MemoryBound() {}
bool CountsMemory() { return false; }

#endif

}  // namespace parity::fuzz
