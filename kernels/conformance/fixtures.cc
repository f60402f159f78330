#include "kernels/conformance/fixtures.h"

#include <glog/logging.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "kernels/half.h"

namespace parity::kernels::conformance {
namespace {

// A half in a block (a scale, or what minima are multiplied with) and the largest it may be; the
// other bytes may be anything.
struct HalfAt {
  int at;
  float most;
};

// The scales of the K-quants' sub-blocks are integers up to 128 besides.
std::vector<HalfAt> HalvesOf(DType dtype) {
  constexpr float kScale = 0x1p-5f, kSuperScale = 0x1p-11f, kSuperMinimum = 0x1p-8f;
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ5_0:
    case DType::kQ8_0:
    case DType::kIQ4_NL:
      return {{0, kScale}};
    case DType::kQ4_1:
    case DType::kQ5_1:
      return {{0, kScale}, {2, kScale}};
    case DType::kQ2_K:
      return {{80, kSuperScale}, {82, kSuperMinimum}};
    case DType::kQ3_K:
      return {{108, kSuperScale}};
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {{0, kSuperScale}, {2, kSuperMinimum}};
    case DType::kQ6_K:
      return {{208, kSuperScale}};
    default:
      return {};
  }
}

bool SameKind(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b;
}

}  // namespace

std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  // 24 bits: every value is exact, and the library's distributions differ between machines.
  for (float& v : values) v = (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f) * scale;
  return values;
}

std::vector<uint8_t> RandomWeight(DType dtype, int64_t rows, int64_t cols, uint32_t seed) {
  std::mt19937 random(seed);
  const DTypeTraits& traits = Traits(dtype);
  std::vector<uint8_t> bytes(rows * RowBytes(dtype, cols));
  if (traits.block_elements == 1) {
    const std::vector<float> values = RandomFloats(rows * cols, seed);
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t half = dtype == DType::kF16 ? FloatToHalf(values[i]) : FloatToBf16(values[i]);
      if (dtype == DType::kF32) {
        std::memcpy(bytes.data() + i * 4, &values[i], 4);
      } else {
        std::memcpy(bytes.data() + i * 2, &half, 2);
      }
    }
    return bytes;
  }
  const std::vector<HalfAt> halves = HalvesOf(dtype);
  CHECK(!halves.empty() || dtype == DType::kMXFP4) << traits.name;
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t block = 0; block < bytes.size(); block += traits.block_bytes) {
    for (const HalfAt& half : halves) {
      const float scale = (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f) * half.most;
      const uint16_t bits = FloatToHalf(scale);
      std::memcpy(bytes.data() + block + half.at, &bits, 2);
    }
    // An exponent: 2^-10 to 2^-7, of doubled values.
    if (dtype == DType::kMXFP4) bytes[block] = static_cast<uint8_t>(118 + bytes[block] % 4);
  }
  return bytes;
}

DeviceMatrix::DeviceMatrix(Backend& backend, const std::vector<float>& values, int64_t rows)
    : DeviceMatrix(backend, rows, static_cast<int64_t>(values.size()) / rows) {
  // The interface has no upload, but a substituting tap writes.
  backend.Tap(matrix_, true, [&](absl::Span<float> to, int64_t, int64_t) {
    std::copy(values.begin(), values.end(), to.begin());
    return absl::OkStatus();
  });
  CHECK(backend.TakeStatus().ok());
}

DeviceMatrix::DeviceMatrix(Backend& backend, int64_t rows, int64_t cols) : backend_(backend) {
  auto buffer = backend.NewBuffer(rows * cols);
  CHECK(buffer.ok()) << buffer.status();
  buffer_ = *std::move(buffer);
  matrix_ = {buffer_->data(), rows, cols};
}

Matrix DeviceMatrix::rows(int64_t first, int64_t count) const {
  return {matrix_.data + first * matrix_.cols, count, matrix_.cols};
}

std::vector<float> DeviceMatrix::Read() const {
  std::vector<float> values(matrix_.rows * matrix_.cols);
  backend_.Read(matrix_, absl::MakeSpan(values));
  const absl::Status status = backend_.TakeStatus();
  CHECK(status.ok()) << status;
  return values;
}

testing::AssertionResult Within(const std::vector<float>& expected,
                                const std::vector<float>& actual,
                                const std::vector<double>& bounds) {
  if (expected.size() != actual.size() || expected.size() != bounds.size()) {
    return testing::AssertionFailure() << expected.size() << " expected, " << actual.size()
                                       << " actual, " << bounds.size() << " bounds";
  }
  size_t worst = 0;
  double most = 0;  // excess over the bound, in bounds
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(expected[i]) - actual[i]);
    double excess;
    if (std::isfinite(difference)) {
      excess = difference <= bounds[i] ? 0 : difference / std::max(bounds[i], 1e-300);
    } else {
      excess = SameKind(expected[i], actual[i]) ? 0 : HUGE_VAL;
    }
    if (excess > most) {
      most = excess;
      worst = i;
    }
  }
  if (most == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "element " << worst << " of " << expected.size() << ": expected " << expected[worst]
         << ", got " << actual[worst] << ", off by "
         << std::fabs(static_cast<double>(expected[worst]) - actual[worst]) << ", bound "
         << bounds[worst];
}

testing::AssertionResult SameBits(const std::vector<float>& expected,
                                  const std::vector<float>& actual) {
  if (expected.size() != actual.size()) {
    return testing::AssertionFailure() << expected.size() << " and " << actual.size() << " values";
  }
  size_t first = expected.size();
  size_t count = 0;
  for (size_t i = expected.size(); i-- > 0;) {
    if (std::bit_cast<uint32_t>(expected[i]) == std::bit_cast<uint32_t>(actual[i])) continue;
    first = i;
    ++count;
  }
  if (count == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << count << " of " << expected.size() << " differ, first element " << first << ": "
         << std::hexfloat << expected[first] << " and " << actual[first];
}

double Nmse(const std::vector<float>& expected, const std::vector<float>& actual) {
  double difference = 0, total = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double d = static_cast<double>(expected[i]) - actual[i];
    difference += d * d;
    total += static_cast<double>(expected[i]) * expected[i];
  }
  return difference == 0 ? 0 : difference / total;
}

}  // namespace parity::kernels::conformance
