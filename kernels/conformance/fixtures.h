// Random but reproducible operands, memory of any backend, and comparisons that say where two
// results part.
#ifndef PARITY_KERNELS_CONFORMANCE_FIXTURES_H_
#define PARITY_KERNELS_CONFORMANCE_FIXTURES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/backend.h"

namespace parity::kernels::conformance {

// Half an ulp of a float in [1, 2): the largest relative error of one float operation.
inline constexpr double kUnit = 0x1p-24;

// Values uniform in [-scale, scale). The same seed gives the same values everywhere.
std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale = 1.0f);

// A weight's bytes: random blocks with finite scales of either sign, around 2^-6 for types of 32
// columns and such that no value reaches 16.
std::vector<uint8_t> RandomWeight(DType dtype, int64_t rows, int64_t cols, uint32_t seed);

// A matrix in a backend's memory.
class DeviceMatrix {
 public:
  // Holds `values`. REQUIRES: values.size() is a multiple of rows.
  DeviceMatrix(Backend& backend, const std::vector<float>& values, int64_t rows);
  DeviceMatrix(Backend& backend, int64_t rows, int64_t cols);  // zeros

  Matrix all() const { return matrix_; }
  Matrix rows(int64_t first, int64_t count) const;
  std::vector<float> Read() const;

 private:
  Backend& backend_;
  std::unique_ptr<Buffer> buffer_;
  Matrix matrix_;
};

// Passes if |actual - expected| <= bound for every element; else names the element that exceeds its
// bound the most, both values and the bound. A value that is not finite must be matched by one of
// its kind.
testing::AssertionResult Within(const std::vector<float>& expected,
                                const std::vector<float>& actual,
                                const std::vector<double>& bounds);

// Passes if the bits are the same; else names the first element that differs and how many do.
testing::AssertionResult SameBits(const std::vector<float>& expected,
                                  const std::vector<float>& actual);

// sum((a - b)^2) / sum(a^2); 0 where nothing differs.
double Nmse(const std::vector<float>& expected, const std::vector<float>& actual);

}  // namespace parity::kernels::conformance

#endif  // PARITY_KERNELS_CONFORMANCE_FIXTURES_H_
