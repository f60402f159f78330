#include "kernels/cpu/simd_path.h"

#include <gtest/gtest.h>

#include <string>

namespace parity::kernels {
namespace {

TEST(SimdPathTest, TheBestPathAndThoseBeforeItAreSupported) {
  EXPECT_TRUE(Supported(SimdPath::kScalar));
  for (SimdPath path :
       {SimdPath::kScalar, SimdPath::kAvx2, SimdPath::kAvx512, SimdPath::kAvx512Vnni}) {
    EXPECT_EQ(Supported(path), path <= BestSimdPath()) << Name(path);
  }
}

TEST(SimdPathTest, NamesAreDistinct) {
  EXPECT_EQ(std::string(Name(SimdPath::kScalar)), "scalar");
  EXPECT_EQ(std::string(Name(SimdPath::kAvx2)), "avx2");
  EXPECT_EQ(std::string(Name(SimdPath::kAvx512)), "avx512");
  EXPECT_EQ(std::string(Name(SimdPath::kAvx512Vnni)), "avx512vnni");
}

}  // namespace
}  // namespace parity::kernels
