// The emulation finds what it promises to find.
#include "kernels/cuda/emulation/emulation.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "kernels/cuda/device_code.cuh"

namespace parity::kernels::cuda {
namespace {

using emulation::Order;

constexpr int kThreads = 128;

// Sums of a block's values by way of shared memory; without the barrier a sum depends on who comes
// first.
template <bool kBarrier>
__global__ void SumKernel(const float* x, float* out) {
  PARITY_SHARED(float, values, kThreads);
  values[threadIdx.x] = x[blockIdx.x * kThreads + threadIdx.x];
  if (kBarrier) __syncthreads();
  float sum = 0;
  for (int i = 0; i < kThreads; ++i) sum += values[i];
  out[blockIdx.x * kThreads + threadIdx.x] = sum;
}

std::vector<float> Sums(bool barrier, Order order) {
  std::vector<float> x(2 * kThreads), out(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = 1.0f / static_cast<float>(i + 1);
  emulation::SetOrder(order);
  Stream stream;
  Launch(stream, "Sum", barrier ? SumKernel<true> : SumKernel<false>, {2, kThreads}, x.data(),
         out.data());
  return out;
}

std::vector<uint32_t> Bits(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (float v : values) bits.push_back(std::bit_cast<uint32_t>(v));
  return bits;
}

TEST(EmulationTest, ABarrierMakesBothOrdersAgree) {
  const std::vector<float> sums = Sums(true, Order::kForward);
  EXPECT_EQ(Bits(sums), Bits(Sums(true, Order::kReverse)));
  for (int i = 1; i < kThreads; ++i) EXPECT_EQ(sums[i], sums[0]);
  EXPECT_NEAR(sums[0], 5.433f, 1e-3);  // the harmonic number of 128
}

TEST(EmulationTest, AMissingBarrierShows) {
  // What the others have not written yet is NaN, not what happens to lie there.
  const std::vector<float> forward = Sums(false, Order::kForward);
  EXPECT_TRUE(std::isnan(forward[0]));
  EXPECT_NE(Bits(forward), Bits(Sums(false, Order::kReverse)));
}

__global__ void WarpKernel(float* sums, float* most) {
  const auto value = static_cast<float>(threadIdx.x);
  sums[threadIdx.x] = WarpSum(value);
  most[threadIdx.x] = WarpMax(-value);
}

TEST(EmulationTest, WarpsExchangeAmongThemselves) {
  std::vector<float> sums(64), most(64);
  Stream stream;
  Launch(stream, "Warp", WarpKernel, {1, 64}, sums.data(), most.data());
  EXPECT_STREQ(stream.first_kernel, "Warp");
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(sums[i], i < 32 ? 496.0f : 1520.0f);
    EXPECT_EQ(most[i], i < 32 ? 0.0f : -32.0f);
  }
}

__global__ void DivergentKernel() {
  if (threadIdx.x < 7) __syncthreads();
}

TEST(EmulationDeathTest, ADivergentBarrierIsNamed) {
  Stream stream;
  EXPECT_DEATH(Launch(stream, "Divergent", DivergentKernel, {1, 32}),
               "Divergent: a barrier that not all threads reach, block \\(0, 0, 0\\); 25 ended; 7 "
               "wait at the barrier of .*emulation_test.cc");
}

__global__ void OverrunKernel(float* out) {
  PARITY_SHARED(float, values, 32);
  values[threadIdx.x + 1] = 1.0f;
  out[threadIdx.x] = values[threadIdx.x];
}

TEST(EmulationDeathTest, SharedMemoryHasAnEnd) {
  std::vector<float> out(32);
  Stream stream;
  EXPECT_DEATH(Launch(stream, "Overrun", OverrunKernel, {1, 32}, out.data()),
               "heap-buffer-overflow");
}

TEST(EmulationDeathTest, ACardsLimitsHold) {
  Stream stream;
  EXPECT_DEATH(Launch(stream, "Empty", DivergentKernel, {0, 32}), "Empty: grid of 0");
  EXPECT_DEATH(Launch(stream, "Odd", DivergentKernel, {1, 33}), "Odd: block of 33");
}

TEST(EmulationTest, IntrinsicsAreTheInstructions) {
  EXPECT_EQ(__dp4a(static_cast<int>(0x80ff7f01u), 0x02030405, 10), 10 - 256 - 3 + 508 + 5);
  EXPECT_EQ(__byte_perm(0x33221100u, 0x77665544u, 0x7061u), 0x77006611u);
}

}  // namespace
}  // namespace parity::kernels::cuda
