#include "kernels/cpu/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/conformance/fixtures.h"
#include "kernels/cpu/product.h"
#include "kernels/half.h"
#include "kernels/reference/reference_product.h"

namespace parity::kernels {
namespace {

// The types that the oracle written here knows; the conformance suite has one for all.
constexpr DType kOracleTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16,
                                  DType::kQ4_0, DType::kQ4_1, DType::kQ8_0};
constexpr Numerics kBoth[] = {Numerics::kNative, Numerics::kF32};

struct Problem {
  std::vector<uint8_t> bytes;
  std::unique_ptr<PackedWeight> weight;
  std::vector<float> x;  // [tokens, cols]
};

// At least `cols` columns, in whole blocks.
int64_t Whole(DType dtype, int64_t cols) {
  const int64_t block = Traits(dtype).block_elements;
  return (cols + block - 1) / block * block;
}

Problem MakeProblem(DType dtype, int64_t rows, int64_t cols, int64_t tokens) {
  std::mt19937 random(static_cast<uint32_t>(rows * 1000 + cols * 10 + tokens));
  Problem problem;
  problem.bytes = conformance::RandomWeight(dtype, rows, cols, random());
  auto weight =
      PackWeight({.name = "w", .dtype = dtype, .rows = rows, .cols = cols, .bytes = problem.bytes},
                 Numerics::kNative);
  EXPECT_TRUE(weight.ok()) << weight.status();
  problem.weight = *std::move(weight);
  std::normal_distribution<float> normal;
  problem.x.resize(tokens * cols);
  for (float& value : problem.x) value = normal(random);
  return problem;
}

// Runs `product`, or the path's own when it is null.
std::vector<float> Product(const Problem& problem, SimdPath path, Numerics numerics,
                           int threads = 1, GroupProductFn product = nullptr) {
  ThreadPool pool(threads);
  MatMulContext context(path, numerics, pool);
  const PackedWeight& weight = *problem.weight;
  const int64_t tokens = problem.x.size() / weight.cols();
  std::vector<float> out(tokens * weight.rows(), -1.0f);
  if (product == nullptr) {
    MatMul(problem.x.data(), tokens, {{&weight, out.data()}}, context);
  } else {
    MatMulUsing(product, problem.x.data(), tokens, {&weight, out.data()}, context);
  }
  return out;
}

// What an activation row is to the type's product, written from llama.cpp's definition: value k is
// values[k], and for Q4_1 the minimum of block b is multiplied by sums[b].
struct Effective {
  std::vector<double> values, sums;
};

Effective EffectiveRow(DType dtype, Numerics numerics, const float* x, int64_t cols) {
  Effective row;
  for (int64_t k = 0; k < cols; ++k) {
    float value = x[k];
    if (numerics == Numerics::kNative && dtype == DType::kF16) value = RoundToHalf(value);
    if (numerics == Numerics::kNative && dtype == DType::kBF16) value = RoundToBf16(value);
    row.values.push_back(value);
  }
  for (int64_t b = 0; b < cols / 32; ++b) {
    const bool quantised = Traits(dtype).block_elements == 32 && numerics == Numerics::kNative;
    float largest = 0;
    double sum = 0;
    for (int64_t k = 32 * b; k < 32 * b + 32; ++k) largest = std::max(largest, std::abs(x[k]));
    const float d = largest / 127.0f, inverse = 127.0f / largest;
    for (int64_t k = 32 * b; k < 32 * b + 32; ++k) {
      const double q = std::nearbyint(x[k] * inverse);
      if (quantised) row.values[k] = q * RoundToHalf(d);
      sum += quantised ? q : static_cast<double>(x[k]);
    }
    row.sums.push_back(quantised ? RoundToHalf(d * static_cast<float>(sum)) : sum);
  }
  return row;
}

// Compares with a double oracle. The bound: every rounding of the sum is relative to a partial sum
// of |terms|, and a float product has at most 64 + blocks roundings on the way (2^-24 each).
void ExpectNearOracle(const Problem& problem, Numerics numerics, const std::vector<float>& out) {
  const PackedWeight& weight = *problem.weight;
  const int64_t rows = weight.rows(), cols = weight.cols();
  const bool minimum = weight.dtype() == DType::kQ4_1;
  std::vector<float> w(cols);
  for (int64_t t = 0; t < static_cast<int64_t>(problem.x.size()) / cols; ++t) {
    const Effective x = EffectiveRow(weight.dtype(), numerics, problem.x.data() + t * cols, cols);
    for (int64_t r = 0; r < rows; ++r) {
      DequantizeRow(weight, r, w.data());
      const uint8_t* source = problem.bytes.data() + r * RowBytes(weight.dtype(), cols);
      double expected = 0, magnitude = 0;
      for (int64_t k = 0; k < cols; ++k) {
        double m = 0;
        if (minimum) {
          uint16_t bits;
          std::memcpy(&bits, source + k / 32 * 20 + 2, 2);
          m = HalfToFloat(bits);
          if (k % 32 == 0) expected += m * x.sums[k / 32];
        }
        expected += (w[k] - m) * x.values[k];
        magnitude += (std::abs(w[k]) + 2 * std::abs(m)) * std::abs(x.values[k]);
      }
      // Dequantised Q4_1 weights were rounded once themselves; s to half is part of the definition.
      const double eps = numerics == Numerics::kNative ? (64 + weight.blocks()) * 0x1p-24 : 0x1p-23;
      const float got = out[t * rows + r];
      ASSERT_LE(std::abs(got - expected), eps * magnitude)
          << Traits(weight.dtype()).name << " " << rows << " x " << cols << " row " << r
          << " token " << t << ": got " << got << ", expected " << expected;
    }
  }
}

TEST(MatMulTest, AgreesWithADoubleOracle) {
  for (DType dtype : kOracleTypes) {
    for (Numerics numerics : kBoth) {
      for (int64_t cols : {32, 96, 576, 1536}) {
        const Problem problem = MakeProblem(dtype, 37, cols, 3);
        ExpectNearOracle(problem, numerics, Product(problem, BestSimdPath(), numerics));
      }
    }
  }
}

TEST(MatMulTest, UnquantisedRowsMayEndAnywhere) {
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (Numerics numerics : kBoth) {
      for (int64_t cols : {1, 31, 33, 100}) {
        const Problem problem = MakeProblem(dtype, 5, cols, 2);
        const std::vector<float> out = Product(problem, BestSimdPath(), numerics);
        EXPECT_EQ(out, Product(problem, SimdPath::kScalar, numerics));
        std::vector<float> w(cols);
        for (int64_t r = 0; r < 5; ++r) {
          DequantizeRow(*problem.weight, r, w.data());
          double expected = 0, magnitude = 0;
          for (int64_t k = 0; k < cols; ++k) {
            expected += static_cast<double>(w[k]) * problem.x[k];
            magnitude += std::abs(static_cast<double>(w[k]) * problem.x[k]);
          }
          // Activations rounded to bf16 are off by up to 2^-9 each, the sums by far less.
          const double eps = numerics == Numerics::kF32 ? 0x1p-23 : 0x1p-8;
          EXPECT_NEAR(out[r], expected, eps * magnitude);
        }
      }
    }
  }
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct NamedProduct {
  std::string name;
  GroupProductFn (*find)(DType, Numerics);
};

// Every product that this machine can run, the emulated AVX-512 ones included.
std::vector<NamedProduct> Products() {
  std::vector<NamedProduct> products;
  if (!Supported(SimdPath::kAvx2)) return products;  // the emulation is compiled for AVX2 too
  products.push_back({"avx2", Avx2Product});
  products.push_back({"avx512 (emulated)", EmulatedAvx512Product});
  products.push_back({"avx512vnni (emulated)", EmulatedAvx512VnniProduct});
  if (Supported(SimdPath::kAvx512)) products.push_back({"avx512", Avx512Product});
  if (Supported(SimdPath::kAvx512Vnni)) products.push_back({"avx512vnni", Avx512VnniProduct});
  return products;
}

TEST(MatMulTest, EveryPathGivesTheScalarPathsBits) {
  const std::vector<NamedProduct> products = Products();
  if (products.empty()) GTEST_SKIP() << "this machine has no AVX2: there is one path";
  for (const DTypeTraits& traits : AllDTypes()) {
    const DType dtype = traits.dtype;
    for (Numerics numerics : kBoth) {
      for (int64_t rows : {1, 3, 15, 16, 17, 33}) {
        for (int64_t cols : {32, 64, 96, 576}) {
          const int64_t tokens = 1 + (rows + cols / 32) % 9;
          const Problem problem = MakeProblem(dtype, rows, Whole(dtype, cols), tokens);
          const std::vector<float> scalar = Product(problem, SimdPath::kScalar, numerics);
          for (const NamedProduct& product : products) {
            EXPECT_TRUE(SameBits(scalar, Product(problem, BestSimdPath(), numerics, 1,
                                                 product.find(dtype, numerics))))
                << product.name << " " << Traits(dtype).name << " " << rows << " x " << cols
                << " x " << tokens << " tokens, numerics " << static_cast<int>(numerics);
          }
        }
      }
    }
  }
}

TEST(MatMulTest, EveryTokenCountGivesTheScalarPathsBits) {
  for (const DTypeTraits& traits : AllDTypes()) {
    const DType dtype = traits.dtype;
    for (Numerics numerics : kBoth) {
      for (int64_t tokens = 1; tokens <= 17; ++tokens) {
        const Problem problem = MakeProblem(dtype, 18, Whole(dtype, 64), tokens);
        const std::vector<float> scalar = Product(problem, SimdPath::kScalar, numerics);
        for (const NamedProduct& product : Products()) {
          EXPECT_TRUE(SameBits(
              scalar, Product(problem, BestSimdPath(), numerics, 1, product.find(dtype, numerics))))
              << product.name << " " << Traits(dtype).name << " " << tokens << " tokens";
        }
      }
    }
  }
}

// Every byte of a weight but its halves (and MXFP4's exponent) set to `pattern`.
void FillCodes(DType dtype, int pattern, std::vector<uint8_t>& bytes) {
  const bool two = dtype == DType::kQ4_1 || dtype == DType::kQ5_1 || dtype == DType::kQ4_K ||
                   dtype == DType::kQ5_K || dtype == DType::kQ2_K;
  const int header = dtype == DType::kMXFP4 ? 1 : two ? 4 : 2;
  const bool last = dtype == DType::kQ2_K || dtype == DType::kQ3_K || dtype == DType::kQ6_K;
  const int step = Traits(dtype).block_bytes;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int at = static_cast<int>(i) % step;
    if (last ? at < step - header : at >= header) bytes[i] = static_cast<uint8_t>(pattern);
  }
}

// The extremes: the largest and smallest weights and scales that the bytes can hold, activations of
// +-127 throughout, where sums would saturate if they could. The oracle's sums are exact; a float
// product rounds each block's integers and adds a few of them.
TEST(MatMulTest, ExtremeIntegersDoNotSaturate) {
  for (const DTypeTraits& traits : AllDTypes()) {
    if (traits.block_elements == 1) continue;
    for (int pattern : {0x00, 0x7f, 0x80, 0xff, 0x0f, 0xf0}) {
      for (float sign : {1.0f, -1.0f}) {
        const int64_t cols = Whole(traits.dtype, 64);
        Problem problem = MakeProblem(traits.dtype, 16, cols, 5);
        FillCodes(traits.dtype, pattern, problem.bytes);
        const WeightSource source = {
            .name = "w", .dtype = traits.dtype, .rows = 16, .cols = cols, .bytes = problem.bytes};
        problem.weight = *PackWeight(source, Numerics::kNative);
        for (float& x : problem.x) x = sign;
        const std::vector<float> scalar = Product(problem, SimdPath::kScalar, Numerics::kNative);
        const ReferenceActivations x =
            PrepareActivations(traits.dtype, Numerics::kNative, problem.x.data(), cols);
        // What scales and minima make of one column at most: |d| 2^-5 128, twice.
        const double magnitude = 2 * static_cast<double>(cols) * 0x1p-5 * 128;
        for (int r = 0; r < 16; ++r) {
          EXPECT_NEAR(scalar[r], ReferenceProduct(source, r, x), 8 * 0x1p-24 * magnitude)
              << traits.name << " pattern " << pattern;
        }
        for (const NamedProduct& product : Products()) {
          EXPECT_TRUE(SameBits(scalar, Product(problem, BestSimdPath(), Numerics::kNative, 1,
                                               product.find(traits.dtype, Numerics::kNative))))
              << product.name << " " << traits.name << " pattern " << pattern;
        }
      }
    }
  }
}

TEST(MatMulTest, BitsDoNotDependOnThreadsOrOnOtherTokens) {
  for (const DTypeTraits& traits : AllDTypes()) {
    const DType dtype = traits.dtype;
    for (Numerics numerics : kBoth) {
      const int64_t rows = 100, cols = Whole(dtype, 576), tokens = 300;  // several token blocks
      const Problem problem = MakeProblem(dtype, rows, cols, tokens);
      const std::vector<float> together = Product(problem, BestSimdPath(), numerics);
      for (int threads : {2, 3}) {
        EXPECT_TRUE(SameBits(together, Product(problem, BestSimdPath(), numerics, threads)));
      }
      ThreadPool pool(2);
      MatMulContext context(BestSimdPath(), numerics, pool);
      std::vector<float> single(rows);
      for (int64_t t = 0; t < tokens; t += 7) {
        MatMul(problem.x.data() + t * cols, 1, {{problem.weight.get(), single.data()}}, context);
        EXPECT_EQ(std::memcmp(single.data(), together.data() + t * rows, rows * sizeof(float)), 0)
            << Traits(dtype).name << " token " << t;
      }
    }
  }
}

TEST(MatMulTest, WeightsOfOneCallHaveTheBitsThatTheyHaveAlone) {
  // Alike, and of every kind of prepared rows; the smallest has fewer groups than there are
  // threads.
  const DType dtypes[] = {DType::kQ4_1, DType::kQ6_K, DType::kQ8_0, DType::kF16,
                          DType::kQ4_K, DType::kF32,  DType::kBF16};
  const int64_t cols = 768;
  for (Numerics numerics : kBoth) {
    for (const int64_t tokens : {1, 5, 300}) {
      std::vector<Problem> problems;
      std::vector<std::vector<float>> outs;
      for (int64_t rows = 7; const DType dtype : dtypes) {
        problems.push_back(MakeProblem(dtype, rows, cols, tokens));
        problems.back().x = problems[0].x;
        outs.emplace_back(tokens * rows, -1.0f);
        rows += 37;
      }
      std::vector<MatMulTarget> targets;
      for (size_t i = 0; i < problems.size(); ++i) {
        targets.push_back({problems[i].weight.get(), outs[i].data()});
      }
      for (const int threads : {1, 3}) {
        ThreadPool pool(threads);
        MatMulContext context(BestSimdPath(), numerics, pool);
        for (std::vector<float>& out : outs) std::fill(out.begin(), out.end(), -1.0f);
        MatMul(problems[0].x.data(), tokens, targets, context);
        for (size_t i = 0; i < problems.size(); ++i) {
          EXPECT_TRUE(SameBits(outs[i], Product(problems[i], BestSimdPath(), numerics)))
              << Traits(dtypes[i]).name << ", " << tokens << " tokens, " << threads << " threads";
        }
      }
    }
  }
}

TEST(MatMulTest, NotFiniteActivationsAreSeenInTheirOwnRowOnly) {
  for (const DTypeTraits& traits : AllDTypes()) {
    const DType dtype = traits.dtype;
    for (Numerics numerics : kBoth) {
      const int64_t cols = Whole(dtype, 64);
      Problem problem = MakeProblem(dtype, 20, cols, 3);
      problem.x[cols + 5] = std::numeric_limits<float>::quiet_NaN();
      const std::vector<float> out = Product(problem, BestSimdPath(), numerics);
      for (int i = 0; i < 60; ++i) EXPECT_EQ(std::isnan(out[i]), i / 20 == 1) << i;
    }
  }
}

TEST(MatMulTest, NoRowsWriteNothing) {
  Problem problem = MakeProblem(DType::kQ4_1, 16, 32, 1);
  problem.x.clear();
  EXPECT_TRUE(Product(problem, BestSimdPath(), Numerics::kNative).empty());
}

}  // namespace
}  // namespace parity::kernels
