#include "kernels/cuda/tap_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/cuda/emulation/emulated_device.h"
#include "tests/testing/status_matchers.h"

namespace parity::kernels::cuda {
namespace {

using emulation::EmulatedDevice;
using ::parity::testing::IsOk;
using ::parity::testing::StatusIs;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kRingFloats = 100;

// A ring over one value in device memory that changes all the time, as activations do.
class TapRingTest : public ::testing::Test {
 protected:
  TapRingTest()
      : values_(*DeviceBuffer::Create(device_, 2 * kRingFloats)),
        ring_(*TapRing::Create(device_, kRingFloats * sizeof(float))) {}

  // Taps `count` values that are all `mark`, and then writes over them.
  void Push(int64_t count, float mark, TapSink sink) {
    const std::vector<float> marks(count, mark), rubbish(count, -1.0f);
    const int64_t bytes = count * static_cast<int64_t>(sizeof(float));
    device_.Upload(marks.data(), bytes, values_->data());
    ring_->Push({values_->data(), 1, count}, std::move(sink));
    device_.Upload(rubbish.data(), bytes, values_->data());
  }

  EmulatedDevice device_{emulation::EmulatedOptions{}};
  std::unique_ptr<DeviceBuffer> values_;
  std::unique_ptr<TapRing> ring_;
};

// Sizes that never fit the ring's end, so that it wraps in every way, and a sink that is slower now
// and then.
TEST_F(TapRingTest, EveryValueIsShownInOrderAndAsItWas) {
  std::vector<float> seen;
  std::atomic<bool> one_thread = true;
  std::thread::id shower;
  for (int i = 0; i < 2000; ++i) {
    const int64_t count = 1 + i * 37 % kRingFloats;
    Push(count, static_cast<float>(i),
         [&, i, count](absl::Span<float> values, int64_t rows, int64_t cols) {
           if (seen.empty()) shower = std::this_thread::get_id();
           if (std::this_thread::get_id() != shower) one_thread = false;
           EXPECT_EQ(rows * cols, count);
           EXPECT_THAT(values, Each(static_cast<float>(i)));
           if (i % 300 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
           seen.push_back(values[0]);
           return absl::OkStatus();
         });
  }
  EXPECT_THAT(ring_->Drain(), IsOk());
  ASSERT_EQ(seen.size(), 2000u);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(seen[i], static_cast<float>(i));
  EXPECT_TRUE(one_thread);
  EXPECT_NE(shower, std::this_thread::get_id());
}

TEST_F(TapRingTest, AFullRingWaitsForItsSink) {
  absl::Mutex mutex;
  bool open = false;
  std::atomic<int> shown = 0, pushed = 0;
  const auto sink = [&](auto, auto, auto) {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&open));
    ++shown;
    return absl::OkStatus();
  };
  std::thread engine([&] {
    for (int i = 0; i < 5; ++i, ++pushed) Push(kRingFloats / 2, 1.0f, sink);
  });
  while (pushed < 2) std::this_thread::yield();
  // Two halves of the ring wait; a third has no room, however long it tries.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(pushed, 2);
  EXPECT_EQ(shown, 0);
  {
    absl::MutexLock lock(&mutex);
    open = true;
  }
  engine.join();
  EXPECT_THAT(ring_->Drain(), IsOk());
  EXPECT_EQ(shown, 5);
}

TEST_F(TapRingTest, ManySmallValuesAreNoMoreThanTheDeviceTakes) {
  std::atomic<int> shown = 0;
  for (int i = 0; i < 3 * Device::kMostCopiesAside; ++i) {
    Push(1, 1.0f, [&](auto, auto, auto) {
      ++shown;
      return absl::OkStatus();
    });
  }
  EXPECT_THAT(ring_->Drain(), IsOk());
  EXPECT_EQ(shown, 3 * Device::kMostCopiesAside);
}

TEST_F(TapRingTest, AfterASinksErrorNothingIsShownUntilItIsTaken) {
  std::vector<int> shown;
  const auto push = [&](int i, absl::Status status) {
    Push(3, 1.0f, [&shown, i, status](auto, auto, auto) {
      shown.push_back(i);
      return status;
    });
  };
  push(0, absl::OkStatus());
  push(1, absl::AbortedError("enough"));
  push(2, absl::AbortedError("too much"));
  EXPECT_THAT(ring_->Drain(), StatusIs(absl::StatusCode::kAborted, HasSubstr("enough")));
  EXPECT_THAT(shown, ElementsAre(0, 1));
  push(3, absl::OkStatus());
  EXPECT_THAT(ring_->Drain(), IsOk());
  EXPECT_THAT(shown, ElementsAre(0, 1, 3));
}

TEST_F(TapRingTest, ABrokenDevicesValuesAreNotShown) {
  device_.Break(absl::InternalError("an illegal memory access"));
  bool shown = false;
  Push(3, 1.0f, [&](auto, auto, auto) {
    shown = true;
    return absl::OkStatus();
  });
  EXPECT_THAT(ring_->Drain(), IsOk());  // the device tells its errors itself
  EXPECT_FALSE(shown);
}

TEST_F(TapRingTest, WhatIsLeftIsShownAtTheEnd) {
  std::atomic<int> shown = 0;
  for (int i = 0; i < 10; ++i) {
    Push(5, 1.0f, [&](auto, auto, auto) {
      ++shown;
      return absl::OkStatus();
    });
  }
  ring_.reset();
  EXPECT_EQ(shown, 10);
  EXPECT_FALSE(TapRing::Create(device_, int64_t{1} << 40).ok());
}

TEST_F(TapRingTest, LargerThanTheRingDoesNotFit) {
  EXPECT_TRUE(ring_->Fits({values_->data(), 1, kRingFloats}));
  EXPECT_FALSE(ring_->Fits({values_->data(), 1, kRingFloats + 1}));
}

}  // namespace
}  // namespace parity::kernels::cuda
