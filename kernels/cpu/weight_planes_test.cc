#include "kernels/cpu/weight_planes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace parity::kernels {
namespace {

// A block whose only set bit among its codes is bit `bit` of column `column` reads back as that.
template <class Row>
void ExpectOneBit(const Row& row, int column, int bit, int unset) {
  for (int k = 0; k < 32 * Row::kUnits; ++k) {
    const int expected = k == column ? unset ^ (1 << bit) : unset;
    EXPECT_EQ(CodeAt(row.words[k / 32], Row::kBits, k % 32), expected)
        << "column " << k << ", bit " << bit << " of column " << column << " is set";
  }
}

TEST(WeightPlanesTest, Q5_0FindsEachBitInItsPlace) {
  for (int column = 0; column < 32; ++column) {
    for (int bit = 0; bit < 5; ++bit) {
      uint8_t block[22] = {};
      if (bit == 4) {
        block[2 + column / 8] = static_cast<uint8_t>(1 << (column % 8));
      } else {
        block[6 + column % 16] = static_cast<uint8_t>(1 << (bit + column / 16 * 4));
      }
      RowBlock<5, 1, 0> row = {};
      TakeApartQ5_0(block, &row);
      ExpectOneBit(row, column, bit, 0);
    }
  }
}

TEST(WeightPlanesTest, Q6_KFindsEachBitInItsPlace) {
  for (int column = 0; column < 256; ++column) {
    const int half = column / 128, quarter = column % 128 / 32, l = column % 32;
    for (int bit = 0; bit < 6; ++bit) {
      uint8_t block[210] = {};
      if (bit >= 4) {
        block[128 + 32 * half + l] = static_cast<uint8_t>(1 << (bit - 4 + 2 * quarter));
      } else {
        block[64 * half + 32 * (quarter % 2) + l] =
            static_cast<uint8_t>(1 << (bit + quarter / 2 * 4));
      }
      RowBlock<6, 8, 16> row = {};
      TakeApartQ6_K(block, &row);
      ExpectOneBit(row, column, bit, 0);
    }
  }
}

TEST(WeightPlanesTest, Q5_KFindsEachBitInItsPlace) {
  for (int column = 0; column < 256; ++column) {
    const int sub = column / 32, l = column % 32;
    for (int bit = 0; bit < 5; ++bit) {
      uint8_t block[176] = {};
      if (bit == 4) {
        block[16 + l] = static_cast<uint8_t>(1 << sub);
      } else {
        block[48 + sub / 2 * 32 + l] = static_cast<uint8_t>(1 << (bit + sub % 2 * 4));
      }
      RowBlock<5, 8, 8> row = {};
      TakeApartQ5_K(block, &row);
      ExpectOneBit(row, column, bit, 0);
    }
  }
}

TEST(WeightPlanesTest, Q4_KScalesHaveSixBits) {
  for (int sub = 0; sub < 8; ++sub) {
    for (int bit = 0; bit < 6; ++bit) {
      for (bool minimum : {false, true}) {
        uint8_t block[144] = {};
        uint8_t* s = block + 4;
        if (sub < 4) {
          s[sub + (minimum ? 4 : 0)] = static_cast<uint8_t>(1 << bit);
        } else if (bit < 4) {
          s[sub + 4] = static_cast<uint8_t>(1 << (bit + (minimum ? 4 : 0)));
        } else {
          s[minimum ? sub : sub - 4] = static_cast<uint8_t>(1 << (bit + 2));
        }
        RowBlock<4, 8, 8> row = {};
        TakeApartQ4_K(block, &row);
        for (int k = 0; k < 8; ++k) {
          EXPECT_EQ(row.scales[k], k == sub && !minimum ? 1 << bit : 0) << sub << " " << bit;
          EXPECT_EQ(row.minima[k], k == sub && minimum ? 1 << bit : 0) << sub << " " << bit;
        }
      }
    }
  }
}

TEST(WeightPlanesTest, Mxfp4ScalesArePowersOfTwo) {
  for (int exponent = 0; exponent < 256; ++exponent) {
    uint8_t block[17] = {static_cast<uint8_t>(exponent)};
    RowBlock<4, 1, 0> row = {};
    TakeApartMxfp4(block, &row);
    const uint32_t bits = static_cast<uint32_t>(row.d) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    EXPECT_EQ(value, __builtin_ldexpf(1.0f, exponent - 128)) << exponent;
  }
}

}  // namespace
}  // namespace parity::kernels
