#include "collector/store/row_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace parity::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StatusIs;
using Globs = google::protobuf::RepeatedPtrField<std::string>;

constexpr int32_t kLast = std::numeric_limits<int32_t>::max();
const std::vector<CheckpointInfo> kCheckpoints = {
    {.name = "embed"}, {.name = "layer.0.out"}, {.name = "layer.1.out"}, {.name = "logits"}};

Globs Of(std::vector<std::string> globs) { return Globs(globs.begin(), globs.end()); }

TEST(SelectRowsTest, GlobsMarkTheCheckpointsThatAnyOfThemMatches) {
  ASSERT_OK_AND_ASSIGN(const RowFilter filter,
                       SelectRows(kCheckpoints, 2, 5, Of({"logits", "layer.*"})));
  EXPECT_THAT(filter.checkpoints, ElementsAre(false, true, true, true));
  EXPECT_EQ(filter.first_position, 2);
  EXPECT_EQ(filter.last_position, 5);
}

TEST(SelectRowsTest, NoGlobIsAllAndTheEmptyGlobIsNone) {
  ASSERT_OK_AND_ASSIGN(const RowFilter all, SelectRows(kCheckpoints, 0, kLast, Of({})));
  EXPECT_THAT(all.checkpoints, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const RowFilter none, SelectRows(kCheckpoints, 0, kLast, Of({""})));
  EXPECT_THAT(none.checkpoints, ElementsAre(false, false, false, false));
}

TEST(SelectRowsTest, WhatIsOutOfBoundsIsRefused) {
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(SelectRows(kCheckpoints, -1, 5, Of({})),
              StatusIs(kInvalid, "positions -1 to 5, expected 0 <= first <= last"));
  EXPECT_THAT(SelectRows(kCheckpoints, 4, 3, Of({})),
              StatusIs(kInvalid, "positions 4 to 3, expected 0 <= first <= last"));
  EXPECT_THAT(SelectRows(kCheckpoints, 0, 0, Of({std::string(257, '*')})),
              StatusIs(kInvalid, "a checkpoint glob of 257 bytes, at most 256"));
  EXPECT_THAT(SelectRows(kCheckpoints, 0, 0, Of(std::vector<std::string>(1025, "*"))),
              StatusIs(kInvalid, HasSubstr("1025 checkpoint globs, at most 1024")));
}

}  // namespace
}  // namespace parity::store
