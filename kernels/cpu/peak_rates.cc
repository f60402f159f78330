#include "kernels/cpu/peak_rates.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <glog/logging.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "absl/functional/function_ref.h"
#include "kernels/cpu/thread_pool.h"

namespace parity::kernels {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Adds up all words, as fast as the machine brings them.
uint64_t SumOf(const uint8_t* memory, int64_t bytes) {
#if defined(__AVX2__)
  __m256i sums[4];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (int64_t i = 0; i < bytes; i += 128) {
    for (int k = 0; k < 128; k += 64) __builtin_prefetch(memory + i + 2048 + k);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const auto* at = reinterpret_cast<const __m256i*>(memory + i + 32 * k);
      sums[k] = _mm256_add_epi64(sums[k], _mm256_load_si256(at));
    }
  }
  const __m256i all =
      _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(all, 0));
#else
  uint64_t sum = 0;
  const auto* words = reinterpret_cast<const uint64_t*>(memory);
  for (int64_t i = 0; i < bytes / 8; ++i) sum += words[i];
  return sum;
#endif
}

// Adds up products of registers that no compiler knows; the sum, so that it is computed.
int AddProducts(int64_t steps, int seed) {
#if defined(__AVX2__)
  __m256i w = _mm256_set1_epi8(static_cast<char>(seed)), x = _mm256_set1_epi8(3);
  __m256i sums[8];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      sums[k] = _mm256_add_epi16(sums[k], _mm256_maddubs_epi16(w, x));
      __asm__("" : "+x"(w), "+x"(x));  // no product is known beforehand
    }
  }
  int all = 0;
  for (const __m256i sum : sums) all += _mm256_extract_epi16(sum, 0);
  return all;
#else
  return 0;
#endif
}

// Units of work a second over a pool, the best of several passes: body(part) for each of `parts`
// parts, which hold `work` units together.
double BestRate(ThreadPool& pool, int64_t parts, double work,
                absl::FunctionRef<void(int64_t part)> body) {
  double best = 0;
  for (int pass = 0; pass < 25; ++pass) {
    const auto start = Clock::now();
    pool.Run(parts, [&](int64_t begin, int64_t end, int) {
      for (int64_t part = begin; part < end; ++part) body(part);
    });
    best = std::max(best, work / Since(start));
  }
  return best;
}

// Enough that the threads end together.
constexpr int64_t kParts = 32;

}  // namespace

double ReadBytesPerSecond(int64_t bytes, int threads) {
  constexpr int64_t kHugePage = int64_t{2} << 20;
  bytes = bytes / kHugePage * kHugePage;
  CHECK_GE(bytes, kHugePage);
  auto* memory = static_cast<uint8_t*>(std::aligned_alloc(kHugePage, bytes));
  madvise(memory, bytes, MADV_HUGEPAGE);  // as the weights have
  std::memset(memory, 1, bytes);
  ThreadPool pool(threads);
  std::atomic<uint64_t> check = 0;
  const int64_t part_bytes = bytes / kParts;
  const double best = BestRate(pool, kParts, static_cast<double>(bytes), [&](int64_t part) {
    check += SumOf(memory + part * part_bytes, part_bytes);
  });
  std::free(memory);
  return check == 0 ? 0 : best;
}

double ByteProductsPerSecond(int threads) {
  constexpr int64_t kSteps = 500000;
  ThreadPool pool(threads);
  std::atomic<int> check = 0;
  const double best = BestRate(pool, kParts, kSteps * 8 * 32, [&](int64_t part) {
    check += AddProducts(kSteps / kParts, static_cast<int>(part) + 1);
  });
  return check == 0 ? 0 : best;
}

}  // namespace parity::kernels
