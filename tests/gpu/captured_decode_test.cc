#include "tests/gpu/captured_decode.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "worker/request/fake_engine.h"
#include "worker/stream/fake_collector.h"

namespace parity::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kTokens = 5;

class CapturedDecodeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(decode_, CapturedDecode::Open(engine_, "fake.gguf", collector_.address()));
  }

  request::FakeEngine engine_;
  stream::FakeCollector collector_;
  std::unique_ptr<CapturedDecode> decode_;
};

TEST_F(CapturedDecodeTest, NothingIsCapturedWithoutALevel) {
  engine_.step_time = absl::Milliseconds(10);
  ASSERT_OK_AND_ASSIGN(const double rate, decode_->Rate({1, 2, 3}, kTokens, ""));
  EXPECT_EQ(collector_.connections(), 0);
  EXPECT_GT(rate, 0);
  EXPECT_LE(rate, 100.0) << "a step takes 10 ms at least; the prompt's does not count";
}

TEST_F(CapturedDecodeTest, ACaptureReachesTheCollectorWholeAndTheNextIsAnother) {
  ASSERT_OK(decode_->Rate({1, 2, 3}, kTokens, "full"));
  // Three checkpoints at the prompt's tokens and at all that were chosen but the last.
  EXPECT_EQ(collector_.tensors().size(), 3u * (3 + kTokens - 1));
  ASSERT_EQ(collector_.seals().size(), 1u);
  const std::string first = collector_.opened().run();
  ASSERT_OK_AND_ASSIGN(const auto other,
                       CapturedDecode::Open(engine_, "other.gguf", collector_.address()));
  ASSERT_OK(other->Rate({1, 2, 3}, kTokens, "layers"));
  EXPECT_NE(collector_.opened().run(), first);
  EXPECT_EQ(collector_.opened().team(), "layers");
}

TEST_F(CapturedDecodeTest, ACaptureWithGapsIsNoMeasurement) {
  collector_.reject_position = 4;
  EXPECT_THAT(decode_->Rate({1, 2, 3}, kTokens, "full"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("a capture of full")));
}

}  // namespace
}  // namespace parity::testing
