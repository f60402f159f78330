#include "collector/compare/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace parity::compare {
namespace {

using ::testing::HasSubstr;

v1::ComparisonRow Row(int position, const std::string& checkpoint, v1::RowVerdict verdict,
                      double nmse = 0) {
  v1::ComparisonRow row;
  row.set_position(position);
  row.set_checkpoint(checkpoint);
  row.set_verdict(verdict);
  row.set_nmse(nmse);
  row.set_floor_nmse(1e-6);
  row.set_floor_multiples(nmse / 1e-6);
  return row;
}

v1::ComparisonSummary Finish(SummaryBuilder& builder) {
  v1::Capture complete;
  complete.set_status(v1::CAPTURE_STATUS_COMPLETE);
  return builder.Finish(/*other_model=*/false, complete, complete);
}

TEST(SummaryTest, StagesGatherTheirLayersAndNameTheWorst) {
  SummaryBuilder builder;
  builder.Add(Row(0, "embed", v1::ROW_VERDICT_MATCH), 0);
  builder.Add(Row(0, "layer.0.attn.q", v1::ROW_VERDICT_MATCH, 1e-7), 1);
  builder.Add(Row(0, "layer.1.attn.q", v1::ROW_VERDICT_DRIFT, 3e-6), 2);
  builder.Add(Row(1, "layer.0.attn.q", v1::ROW_VERDICT_MATCH, 2e-7), 1);
  const v1::ComparisonSummary summary = Finish(builder);
  EXPECT_EQ(summary.verdict(), v1::VERDICT_DRIFT);
  ASSERT_EQ(summary.stages_size(), 2);
  EXPECT_EQ(summary.stages(0).stage(), "embed");
  const v1::StageSummary& q = summary.stages(1);
  EXPECT_EQ(q.stage(), "attn.q");
  EXPECT_EQ(q.rows(), 3);
  EXPECT_EQ(q.verdict(), v1::ROW_VERDICT_DRIFT);
  EXPECT_EQ(q.worst_nmse(), 3e-6);
  EXPECT_EQ(q.worst_layer(), 1);
  EXPECT_EQ(q.worst_position(), 0);
  EXPECT_DOUBLE_EQ(q.mean_nmse(), 3.3e-6 / 3);
}

TEST(SummaryTest, AStageShowsARowThatHasItsVerdict) {
  SummaryBuilder builder;
  builder.Add(Row(0, "layer.0.mlp.up", v1::ROW_VERDICT_MATCH, 1e-7), 0);
  builder.Add(Row(1, "layer.0.mlp.up", v1::ROW_VERDICT_DRIFT, 3e-6), 0);
  builder.Add(Row(2, "layer.0.mlp.up", v1::ROW_VERDICT_DRIFT, 2e-6), 0);
  v1::ComparisonRow deep = Row(1, "layer.20.mlp.up", v1::ROW_VERDICT_MATCH, 1e-3);
  deep.set_floor_nmse(1e-2);
  deep.set_floor_multiples(0.1);
  builder.Add(deep, 1);
  deep.set_verdict(v1::ROW_VERDICT_DRIFT);
  deep.set_nmse(2.5e-2);
  deep.set_floor_multiples(2.5);
  builder.Add(deep, 1);  // a larger nmse, but nearer to its floor
  const v1::ComparisonSummary summary = Finish(builder);
  const v1::StageSummary& up = summary.stages(0);
  EXPECT_EQ(up.verdict(), v1::ROW_VERDICT_DRIFT);
  EXPECT_EQ(up.worst_nmse(), 3e-6);
  EXPECT_EQ(up.worst_layer(), 0);
  EXPECT_EQ(up.worst_position(), 1);
  EXPECT_EQ(up.floor_nmse(), 1e-6);
}

TEST(SummaryTest, WhatIsNotFiniteIsTheWorstAndLeftOutOfMeans) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  SummaryBuilder builder;
  builder.Add(Row(0, "logits", v1::ROW_VERDICT_INVALID, nan), 0);
  builder.Add(Row(1, "logits", v1::ROW_VERDICT_MATCH, 1e-7), 0);
  builder.Add(Row(2, "logits", v1::ROW_VERDICT_MATCH, 3e-7), 0);
  const v1::ComparisonSummary summary = Finish(builder);
  EXPECT_EQ(summary.worst().position(), 0);
  EXPECT_DOUBLE_EQ(summary.mean_logits_nmse(), 2e-7);
  EXPECT_EQ(summary.max_logits_nmse(), 3e-7);
  const v1::StageSummary& logits = summary.stages(0);
  EXPECT_EQ(logits.worst_position(), 0);
  EXPECT_TRUE(std::isnan(logits.worst_nmse()));
  EXPECT_DOUBLE_EQ(logits.mean_nmse(), 2e-7);
  EXPECT_EQ(logits.rows(), 3);
}

TEST(SummaryTest, WhatIsNotMeasuredIsNoPass) {
  SummaryBuilder builder;
  builder.Add(Row(0, "embed", v1::ROW_VERDICT_MATCH), 0);
  builder.Add(Row(0, "logits", v1::ROW_VERDICT_UNMEASURED), 1);
  const v1::ComparisonSummary summary = Finish(builder);
  EXPECT_EQ(summary.verdict(), v1::VERDICT_INCOMPLETE);
  EXPECT_EQ(summary.coverage(), 0.5);
  EXPECT_EQ(summary.stages_size(), 1) << "a stage nobody measured has no figures";
}

TEST(SummaryTest, TheFirstDivergenceIsTheFirstInOrderNotTheWorst) {
  SummaryBuilder builder;
  builder.Add(Row(0, "embed", v1::ROW_VERDICT_MATCH), 0);
  builder.Add(Row(0, "layer.0.out", v1::ROW_VERDICT_DIVERGED, 1e-3), 1);
  builder.Add(Row(0, "logits", v1::ROW_VERDICT_DIVERGED, 1e-1), 2);
  const v1::ComparisonSummary summary = Finish(builder);
  EXPECT_EQ(summary.verdict(), v1::VERDICT_DIVERGED);
  EXPECT_EQ(summary.first_divergence().checkpoint(), "layer.0.out");
  EXPECT_EQ(summary.worst().checkpoint(), "logits");
  EXPECT_THAT(summary.reason(), HasSubstr("first layer.0.out at position 0"));
}

TEST(SummaryTest, NoRowsAreNotComparable) {
  SummaryBuilder builder;
  const v1::ComparisonSummary summary = Finish(builder);
  EXPECT_EQ(summary.verdict(), v1::VERDICT_NOT_COMPARABLE);
  EXPECT_EQ(summary.coverage(), 0);
}

}  // namespace
}  // namespace parity::compare
