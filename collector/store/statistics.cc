#include "collector/store/statistics.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "proto/tensor/values.h"

namespace parity::store {
namespace {

constexpr int kLanes = 16;
constexpr int64_t kChunk =
    4096;  // elements decoded at once: 16 KiB stay in L1; a multiple of kLanes
constexpr uint32_t kExponent = 0x7f800000u;

// Running sums; element i belongs to lane i % kLanes whichever path adds it.
struct Lanes {
  double sum[kLanes] = {};
  double squares[kLanes] = {};
  float min[kLanes];
  float max[kLanes];
  int64_t nan_count = 0;
  int64_t inf_count = 0;

  Lanes() {
    std::fill_n(min, kLanes, std::numeric_limits<float>::infinity());
    std::fill_n(max, kLanes, -std::numeric_limits<float>::infinity());
  }
};

void AddScalar(const char* bytes, int64_t count, Lanes& lanes) {
  for (int64_t i = 0; i < count; ++i) {
    float value;
    std::memcpy(&value, bytes + i * 4, 4);
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if ((bits & kExponent) == kExponent) {
      ++((bits & ~(kExponent | 0x80000000u)) != 0 ? lanes.nan_count : lanes.inf_count);
      continue;
    }
    const int lane = static_cast<int>(i % kLanes);
    const double wide = value;
    lanes.sum[lane] += wide;
    lanes.squares[lane] += wide * wide;
    lanes.min[lane] = value < lanes.min[lane] ? value : lanes.min[lane];
    lanes.max[lane] = value > lanes.max[lane] ? value : lanes.max[lane];
  }
}

// Whole groups of 16 only. A group with a non-finite value takes the scalar path: the sums stay the
// same bits.
__attribute__((target("avx2"))) void AddAvx2(const char* bytes, int64_t count, Lanes& lanes) {
  const __m256i exponent = _mm256_set1_epi32(static_cast<int>(kExponent));
  __m256d sum[4], squares[4];
  __m256 min[2], max[2];
  const auto load = [&]() __attribute__((target("avx2"))) {
    for (int j = 0; j < 4; ++j) sum[j] = _mm256_loadu_pd(lanes.sum + 4 * j);
    for (int j = 0; j < 4; ++j) squares[j] = _mm256_loadu_pd(lanes.squares + 4 * j);
    for (int j = 0; j < 2; ++j) min[j] = _mm256_loadu_ps(lanes.min + 8 * j);
    for (int j = 0; j < 2; ++j) max[j] = _mm256_loadu_ps(lanes.max + 8 * j);
  };
  const auto store = [&]() __attribute__((target("avx2"))) {
    for (int j = 0; j < 4; ++j) _mm256_storeu_pd(lanes.sum + 4 * j, sum[j]);
    for (int j = 0; j < 4; ++j) _mm256_storeu_pd(lanes.squares + 4 * j, squares[j]);
    for (int j = 0; j < 2; ++j) _mm256_storeu_ps(lanes.min + 8 * j, min[j]);
    for (int j = 0; j < 2; ++j) _mm256_storeu_ps(lanes.max + 8 * j, max[j]);
  };
  load();
  for (int64_t i = 0; i < count; i += kLanes) {
    const __m256 x[2] = {_mm256_loadu_ps(reinterpret_cast<const float*>(bytes + i * 4)),
                         _mm256_loadu_ps(reinterpret_cast<const float*>(bytes + i * 4 + 32))};
    const __m256i e0 = _mm256_and_si256(_mm256_castps_si256(x[0]), exponent);
    const __m256i e1 = _mm256_and_si256(_mm256_castps_si256(x[1]), exponent);
    const __m256i odd =
        _mm256_or_si256(_mm256_cmpeq_epi32(e0, exponent), _mm256_cmpeq_epi32(e1, exponent));
    if (!_mm256_testz_si256(odd, odd)) {
      store();
      AddScalar(bytes + i * 4, kLanes, lanes);
      load();
      continue;
    }
    for (int j = 0; j < 2; ++j) {
      const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x[j]));
      const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x[j], 1));
      sum[2 * j] = _mm256_add_pd(sum[2 * j], low);
      sum[2 * j + 1] = _mm256_add_pd(sum[2 * j + 1], high);
      squares[2 * j] = _mm256_add_pd(squares[2 * j], _mm256_mul_pd(low, low));
      squares[2 * j + 1] = _mm256_add_pd(squares[2 * j + 1], _mm256_mul_pd(high, high));
      min[j] = _mm256_min_ps(x[j], min[j]);
      max[j] = _mm256_max_ps(x[j], max[j]);
    }
  }
  store();
}

// REQUIRES: lane 0 is next, so every call but the last adds a multiple of kLanes.
void Add(const char* bytes, int64_t count, Lanes& lanes) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  int64_t done = 0;
  if (has_avx2) {
    done = count / kLanes * kLanes;
    AddAvx2(bytes, done, lanes);
  }
  AddScalar(bytes + done * 4, count - done, lanes);
}

Statistics Reduce(const Lanes& lanes, int64_t count) {
  Statistics result;
  result.nan_count = lanes.nan_count;
  result.inf_count = lanes.inf_count;
  result.finite = count - lanes.nan_count - lanes.inf_count;
  if (result.finite == 0) return result;
  double sum = 0, squares = 0;
  float min = lanes.min[0], max = lanes.max[0];
  for (int lane = 0; lane < kLanes; ++lane) {
    sum += lanes.sum[lane];
    squares += lanes.squares[lane];
    min = std::min(min, lanes.min[lane]);
    max = std::max(max, lanes.max[lane]);
  }
  const double finite = static_cast<double>(result.finite);
  result.min = min;
  result.max = max;
  result.mean = sum / finite;
  result.rms = std::sqrt(squares / finite);
  return result;
}

}  // namespace

Statistics ComputeStatistics(v1::DType dtype, absl::string_view bytes) {
  const int64_t element_bytes = tensor::ElementBytes(dtype);
  const int64_t count = static_cast<int64_t>(bytes.size()) / element_bytes;
  Lanes lanes;
  if (dtype == v1::DTYPE_F32) {
    Add(bytes.data(), count, lanes);
    return Reduce(lanes, count);
  }
  float chunk[kChunk];
  for (int64_t first = 0; first < count; first += kChunk) {
    const int64_t size = std::min(kChunk, count - first);
    tensor::DecodeTo(dtype, bytes.substr(first * element_bytes, size * element_bytes), chunk);
    Add(reinterpret_cast<const char*>(chunk), size, lanes);
  }
  return Reduce(lanes, count);
}

}  // namespace parity::store
