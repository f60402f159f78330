#include "collector/compare/alignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector/store/test_captures.h"

namespace parity::compare {
namespace {

using ::testing::ElementsAre;

class AlignmentTest : public ::testing::Test {
 protected:
  struct Put {
    int position;
    std::string checkpoint;
    int elements = 2;
  };

  std::unique_ptr<store::CaptureReader> Capture(const std::string& team,
                                                const std::vector<Put>& puts) {
    const auto begun = store_->BeginCapture("r", team, v1::Provenance(), "");
    EXPECT_TRUE(begun.ok()) << begun.status();
    store::TensorBatch batch;
    for (const Put& put : puts) {
      batch.AddTensor(put.position,
                      store::MakeTensor(put.checkpoint, std::vector<float>(put.elements, 1)));
    }
    EXPECT_TRUE(store::AppendAndWait(*store_, begun->id, std::move(batch)).ok());
    auto reader = store_->OpenCapture("r", team);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }

  // "position checkpoint reference/candidate" of each row; "-" where a side has none.
  static std::vector<std::string> Rows(const AlignmentPlan& plan, const Alignment& aligned) {
    std::vector<std::string> rows;
    const auto side = [](int32_t index) { return index < 0 ? "-" : absl::StrCat(index); };
    for (const AlignedRow& row : aligned.rows) {
      rows.push_back(absl::StrCat(row.position, " ", plan.names[row.checkpoint], " ",
                                  side(row.reference), "/", side(row.candidate)));
    }
    return rows;
  }

  const std::unique_ptr<store::CaptureStore> store_ = store::OpenNewStore();
};

TEST_F(AlignmentTest, EveryTensorOfEitherSideIsARowInForwardOrder) {
  const auto a = Capture("a", {{1, "logits"}, {1, "embed"}, {0, "embed"}});
  const auto b = Capture("b", {{0, "embed"}, {1, "layer.0.out"}, {1, "logits"}});
  const auto plan = PlanAlignment(*a, *b, v1::CompareRequest());
  ASSERT_TRUE(plan.ok()) << plan.status();
  Alignment aligned;
  EXPECT_EQ(AlignPositions(*plan, {0, 9}, *a, *b, &aligned), absl::OkStatus());
  EXPECT_THAT(Rows(*plan, aligned),
              ElementsAre("0 embed 0/0", "1 embed 1/-", "1 layer.0.out -/1", "1 logits 2/2"));
  EXPECT_EQ(AlignPositions(*plan, {1, 1}, *a, *b, &aligned), absl::OkStatus());
  EXPECT_THAT(Rows(*plan, aligned),
              ElementsAre("1 embed 0/-", "1 layer.0.out -/0", "1 logits 1/1"));
  EXPECT_EQ(AlignPositions(*plan, {2, 9}, *a, *b, &aligned), absl::OkStatus());
  EXPECT_THAT(Rows(*plan, aligned), ElementsAre());
}

TEST_F(AlignmentTest, GlobsAndPositionsOfTheRequestLimitBothSides) {
  const auto a = Capture("a", {{0, "embed"}, {0, "logits"}, {1, "logits"}, {2, "logits"}});
  const auto b = Capture("b", {{0, "logits"}, {1, "embed"}, {1, "logits"}, {2, "logits"}});
  v1::CompareRequest request;
  request.add_checkpoints("log*");
  request.set_last_position(1);
  const auto plan = PlanAlignment(*a, *b, request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const store::RowFilter& filter = plan->reference_filter;
  EXPECT_EQ(filter.last_position, 1);
  Alignment aligned;
  EXPECT_EQ(AlignPositions(*plan, {filter.first_position, filter.last_position}, *a, *b, &aligned),
            absl::OkStatus());
  EXPECT_THAT(Rows(*plan, aligned), ElementsAre("0 logits 0/0", "1 logits 1/1"));
  request.set_first_position(2);
  EXPECT_TRUE(absl::IsInvalidArgument(PlanAlignment(*a, *b, request).status()));
}

TEST_F(AlignmentTest, ShapesAreKnownWhereSizesDiffer) {
  const auto a = Capture("a", {{0, "embed", 2}, {0, "logits", 3}});
  const auto b = Capture("b", {{0, "embed", 2}, {0, "logits", 4}});
  const auto plan = PlanAlignment(*a, *b, v1::CompareRequest());
  ASSERT_TRUE(plan.ok()) << plan.status();
  Alignment aligned;
  ASSERT_EQ(AlignPositions(*plan, {0, 0}, *a, *b, &aligned), absl::OkStatus());
  EXPECT_THAT(a->shape(aligned.reference[1]), ElementsAre(3));
  EXPECT_THAT(b->shape(aligned.candidate[1]), ElementsAre(4));
}

}  // namespace
}  // namespace parity::compare
