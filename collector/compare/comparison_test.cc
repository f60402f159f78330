#include "collector/compare/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "absl/strings/str_cat.h"
#include "collector/store/test_captures.h"
#include "proto/tensor/values.h"

namespace parity::compare {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Value {
  int position;
  std::string checkpoint;
  std::vector<float> values;
  int64_t total = 0;  // 0: all of them
  bool not_substituted = false;
};

v1::Provenance Native(absl::string_view engine) {
  v1::Provenance p;
  p.set_engine(std::string(engine));
  p.set_model_sha256("aa");
  p.set_architecture("llama");
  p.set_weight_type("Q4_1");
  p.set_kv_type("f16");
  p.set_activation_precision("int8");
  p.set_attention("plain");
  p.set_kind(v1::CAPTURE_KIND_FREE);
  return p;
}

v1::Provenance Exact() {
  v1::Provenance p = Native("f32");
  p.set_weight_type("F32");
  p.set_kv_type("f32");
  p.set_activation_precision("f32");
  return p;
}

class ComparisonTest : public ::testing::Test {
 protected:
  void Put(absl::string_view team, const v1::Provenance& provenance,
           const std::vector<Value>& values, const std::vector<int>& ids = {1, 2, 3}) {
    auto capture = store_->BeginCapture("r", team, provenance, "");
    ASSERT_TRUE(capture.ok()) << capture.status();
    store::TensorBatch batch;
    for (const Value& value : values) {
      v1::Tensor tensor;
      tensor.set_checkpoint(value.checkpoint);
      tensor.set_dtype(v1::DTYPE_F32);
      tensor.set_total_elements(value.total != 0 ? value.total : value.values.size());
      tensor.add_shape(tensor.total_elements());
      tensor.set_data(std::string(reinterpret_cast<const char*>(value.values.data()),
                                  value.values.size() * sizeof(float)));
      tensor.set_xxh3(tensor::Checksum(tensor.data()));
      tensor.set_not_substituted(value.not_substituted);
      batch.AddTensor(value.position, tensor);
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      store::BatchToken token;
      token.position = static_cast<int32_t>(i);
      token.input_token_id = ids[i];
      batch.AddToken(token);
    }
    store_->Append(capture->id, std::move(batch), [](const auto& r) { EXPECT_TRUE(r.ok()); });
    v1::CaptureCounts counts;
    counts.set_captured(static_cast<int64_t>(values.size()));
    counts.set_acked(counts.captured());
    auto sealed = store_->Seal(capture->id, counts, "");
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    ASSERT_EQ(sealed->status(), v1::CAPTURE_STATUS_COMPLETE) << sealed->message();
  }

  v1::ComparisonSummary Compare(v1::CompareRequest request = {}, int threads = 0) {
    request.set_run("r");
    request.set_reference("a");
    request.set_candidate("b");
    rows_.clear();
    v1::ComparisonSummary summary;
    const absl::Status status = CompareCaptures(*store_, request,
                                                [&](const v1::ComparisonRow& row) {
                                                  rows_.push_back(row);
                                                  return absl::OkStatus();
                                                },
                                                &summary, {threads});
    EXPECT_TRUE(status.ok()) << status;
    return summary;
  }

  const std::unique_ptr<store::CaptureStore> store_ = store::OpenNewStore();
  std::vector<v1::ComparisonRow> rows_;
};

TEST_F(ComparisonTest, EqualCapturesAreParityToTheBit) {
  const std::vector<Value> values = {{0, "embed", {1, 2}}, {0, "logits", {3, 1, 2}}};
  Put("a", Native("llama"), values);
  Put("b", Native("cpu"), values);
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(s.verdict(), v1::VERDICT_PARITY) << s.reason();
  EXPECT_EQ(s.match(), 2);
  EXPECT_EQ(s.coverage(), 1);
  EXPECT_TRUE(s.bit_identical());
  EXPECT_EQ(s.logit_positions(), 1);
  EXPECT_EQ(s.top1_matches(), 1);
  EXPECT_EQ(s.profile(), "quantised");
  ASSERT_EQ(rows_.size(), 2u);
  EXPECT_EQ(rows_[0].checkpoint(), "embed");
  EXPECT_EQ(rows_[1].kl_divergence(), 0);
}

TEST_F(ComparisonTest, RowsComeInForwardOrderWithTheFirstDivergence) {
  // f32 profile: floor 4e-13, DIVERGED above 1e4 floors = 4e-9. Row (0, layer.0.out) is 1
  // against 1.1: nmse 1e-2.
  Put("a", Exact(),
      {{0, "logits", {1, 2}}, {0, "layer.0.out", {1}}, {0, "embed", {1}}, {1, "embed", {1}}});
  Put("b", Exact(),
      {{1, "embed", {5}}, {0, "logits", {9, 2}}, {0, "layer.0.out", {1.1f}}, {0, "embed", {1}}});
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(s.verdict(), v1::VERDICT_DIVERGED);
  EXPECT_EQ(s.profile(), "f32");
  EXPECT_EQ(s.diverged(), 3);
  EXPECT_EQ(s.first_divergence().checkpoint(), "layer.0.out");
  EXPECT_EQ(s.worst().checkpoint(), "embed");
  ASSERT_EQ(rows_.size(), 4u);
  EXPECT_EQ(rows_[1].checkpoint(), "layer.0.out");
  EXPECT_EQ(rows_[2].checkpoint(), "logits");
  EXPECT_EQ(rows_[3].position(), 1);
  ASSERT_EQ(s.stages_size(), 3);
  EXPECT_EQ(s.stages(0).stage(), "embed");
  EXPECT_EQ(s.stages(0).rows(), 2);
  EXPECT_EQ(s.stages(0).worst_position(), 1);
  EXPECT_EQ(s.stages(1).stage(), "layer.out");
  EXPECT_EQ(s.stages(2).stage(), "logits");
}

TEST_F(ComparisonTest, OneSidedRowsAreUnmeasuredAndNoPass) {
  Put("a", Native("llama"), {{0, "embed", {1}}, {0, "layer.0.out", {1}}, {0, "final.norm", {1}}});
  Put("b", Native("cpu"), {{0, "embed", {1}}, {0, "logits", {1}}, {0, "final.norm", {1, 2}}});
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(s.verdict(), v1::VERDICT_INCOMPLETE);
  EXPECT_EQ(s.match(), 1);
  EXPECT_EQ(s.unmeasured(), 3);
  EXPECT_EQ(s.coverage(), 0.25);
  EXPECT_THAT(rows_[1].reason(), HasSubstr("reference only"));
  EXPECT_THAT(rows_[2].reason(), HasSubstr("[1] against [2]"));
  EXPECT_THAT(rows_[3].reason(), HasSubstr("candidate only"));
}

TEST_F(ComparisonTest, NothingInCommonIsNotComparable) {
  Put("a", Native("llama"), {{0, "embed", {1}}});
  Put("b", Native("cpu"), {{1, "embed", {1}}});
  EXPECT_EQ(Compare().verdict(), v1::VERDICT_NOT_COMPARABLE);
}

TEST_F(ComparisonTest, OtherTokensEndTheComparisonThere) {
  std::vector<Value> values;
  for (int position = 0; position < 3; ++position) values.push_back({position, "embed", {1}});
  Put("a", Native("llama"), values, {7, 8, 9});
  Put("b", Native("cpu"), values, {7, 5, 9});
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(s.first_token_mismatch(), 1);
  EXPECT_EQ(s.not_comparable(), 2);
  EXPECT_EQ(s.match(), 1);
  EXPECT_EQ(s.verdict(), v1::VERDICT_INCOMPLETE);
  EXPECT_EQ(rows_[2].verdict(), v1::ROW_VERDICT_NOT_COMPARABLE);
  EXPECT_EQ(rows_[2].elements(), 0);
}

TEST_F(ComparisonTest, AnotherModelIsNotComparable) {
  v1::Provenance other = Native("cpu");
  other.set_model_sha256("bb");
  Put("a", Native("llama"), {{0, "embed", {1}}});
  Put("b", other, {{0, "embed", {1}}});
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(s.verdict(), v1::VERDICT_NOT_COMPARABLE);
  EXPECT_EQ(s.not_comparable(), 1);
  EXPECT_THAT(s.identity(), Contains(HasSubstr("another model")));
}

TEST_F(ComparisonTest, PrefixesAreComparedAsPrefixes) {
  Put("a", Native("llama"), {{0, "logits", {1, 2, 3, 4}}});
  Put("b", Native("cpu"), {{0, "logits", {1, 2}, 4}});
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(s.match(), 1);
  EXPECT_EQ(s.logit_positions(), 0);
  EXPECT_FALSE(rows_[0].has_kl_divergence());
  EXPECT_EQ(rows_[0].elements(), 2);
  EXPECT_THAT(rows_[0].reason(), HasSubstr("first 2 of 4"));
}

TEST_F(ComparisonTest, NonFiniteOnOneSideIsInvalid) {
  Put("a", Native("llama"), {{0, "embed", {1, kNan, 3}}, {1, "embed", {1, kNan, 3}}});
  Put("b", Native("cpu"), {{0, "embed", {1, kNan, 3}}, {1, "embed", {1, 2, 3}}});
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(rows_[0].verdict(), v1::ROW_VERDICT_MATCH);
  EXPECT_THAT(rows_[0].reason(), HasSubstr("same on both sides"));
  EXPECT_EQ(rows_[1].verdict(), v1::ROW_VERDICT_INVALID);
  EXPECT_EQ(rows_[1].first_non_finite(), 1);
  EXPECT_EQ(rows_[1].reference_nan(), 1);
  EXPECT_EQ(s.verdict(), v1::VERDICT_DIVERGED);
}

TEST_F(ComparisonTest, PointerBitsAreInvalidNotADifference) {
  std::vector<float> good(64, 0.5f), heap = good, printed = good;
  const uint64_t pointer = 0x000055d3c4a81234;
  std::memcpy(heap.data(), &pointer, sizeof(pointer));
  printed[0] = -1.01e18f;
  printed[1] = 0;
  Put("a", Native("llama"), {{0, "embed", good}, {1, "embed", good}});
  Put("b", Native("cpu"), {{0, "embed", heap}, {1, "embed", printed}});
  EXPECT_EQ(Compare().invalid(), 2);
  EXPECT_THAT(rows_[0].reason(), HasSubstr("pointer"));
  EXPECT_THAT(rows_[1].reason(), HasSubstr("lone zero"));
}

TEST_F(ComparisonTest, GlobsAndPositionsSelect) {
  const std::vector<Value> values = {
      {0, "embed", {1}}, {0, "logits", {1}}, {1, "logits", {1}}, {2, "logits", {1}}};
  Put("a", Native("llama"), values);
  Put("b", Native("cpu"), values);
  v1::CompareRequest request;
  request.add_checkpoints("log*");
  request.set_first_position(1);
  request.set_last_position(1);
  EXPECT_EQ(Compare(request).match(), 1);
}

TEST_F(ComparisonTest, ShadowRowsSayWhatTheyAreMeasuredFrom) {
  v1::Provenance shadow = Native("cpu");
  shadow.set_kind(v1::CAPTURE_KIND_SHADOW);
  shadow.set_shadow_of("r/a");
  // 1e-3 relative: nmse 1e-6, a million op floors, but inside the limits of a stretch of int8
  // products.
  Put("a", Native("llama"),
      {{0, "embed", {1}}, {0, "layer.0.attn.norm", {1}}, {0, "layer.0.out", {1}}});
  Put("b", shadow,
      {{0, "embed", {1}},
       {0, "layer.0.attn.norm", {1.001f}},
       {0, "layer.0.attn.q", {1}, 0, true},
       {0, "layer.0.out", {1.001f}}});
  const v1::ComparisonSummary s = Compare();
  EXPECT_EQ(s.profile(), "shadow");
  ASSERT_EQ(rows_.size(), 4u);
  EXPECT_EQ(rows_[1].measured_from(), "embed");
  EXPECT_TRUE(rows_[1].single_op());
  EXPECT_EQ(rows_[1].verdict(), v1::ROW_VERDICT_DIVERGED);
  EXPECT_EQ(rows_[2].verdict(), v1::ROW_VERDICT_UNMEASURED);
  EXPECT_EQ(rows_[3].measured_from(), "embed,layer.0.attn.norm");
  EXPECT_FALSE(rows_[3].single_op());
  EXPECT_EQ(rows_[3].verdict(), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(s.first_divergence().checkpoint(), "layer.0.attn.norm");
}

TEST_F(ComparisonTest, StoresTheResult) {
  Put("a", Native("llama"), {{0, "embed", {1}}});
  Put("b", Native("cpu"), {{0, "embed", {1}}});
  v1::CompareRequest request;
  request.set_store(true);
  EXPECT_GT(Compare(request).comparison_id(), 0);
}

TEST_F(ComparisonTest, RequestsThatCannotBe) {
  Put("a", Native("llama"), {{0, "embed", {1}}});
  v1::ComparisonSummary summary;
  auto status = [&](const char* candidate, const char* profile, int first, int last) {
    v1::CompareRequest request;
    request.set_run("r");
    request.set_reference("a");
    request.set_candidate(candidate);
    request.set_profile(profile);
    request.set_first_position(first);
    request.set_last_position(last);
    return CompareCaptures(
        *store_, request, [](const v1::ComparisonRow&) { return absl::OkStatus(); }, &summary);
  };
  EXPECT_EQ(status("nobody", "", 0, 1).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status("a", "lenient", 0, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status("a", "", 3, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status("a", "", -1, 1).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ComparisonTest, ManyRowsAreTheSameWhateverTheThreadsAndStopWhenToldTo) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<Value> a, b;
  for (int position = 0; position < 40; ++position) {
    for (int layer = 0; layer < 200; ++layer) {
      std::vector<float> values(33);
      for (float& value : values) value = normal(random);
      a.push_back({position, absl::StrCat("layer.", layer, ".out"), values});
      values[layer % 33] *= 1.01f;
      b.push_back({position, absl::StrCat("layer.", layer, ".out"), values});
    }
  }
  Put("a", Native("llama"), a);
  Put("b", Native("cpu"), b);
  const std::string one = Compare({}, 1).SerializeAsString();
  const std::vector<v1::ComparisonRow> rows = rows_;
  EXPECT_EQ(rows.size(), 8000u);
  EXPECT_EQ(Compare({}, 3).SerializeAsString(), one);
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows_[i].SerializeAsString(), rows[i].SerializeAsString());
  }
  v1::CompareRequest request;
  request.set_run("r");
  request.set_reference("a");
  request.set_candidate("b");
  v1::ComparisonSummary summary;
  int seen = 0;
  const absl::Status stopped = CompareCaptures(
      *store_, request,
      [&](const v1::ComparisonRow&) {
        return ++seen == 3 ? absl::CancelledError("enough") : absl::OkStatus();
      },
      &summary);
  EXPECT_EQ(stopped.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(seen, 3);
}

TEST_F(ComparisonTest, RowsAtPositionsWithoutATokenAreNotMissed) {
  std::vector<Value> values;
  for (const int position : {0, 3, 7, 8, 1000, 2000000000}) {
    for (int layer = 0; layer < 600; ++layer) {
      values.push_back({position, absl::StrCat("layer.", layer, ".out"), {1, 2}});
    }
  }
  Put("a", Native("llama"), values, {1, 2, 3, 4, 5});
  Put("b", Native("cpu"), values, {1, 2, 3, 4, 5});
  for (const int threads : {1, 2, 4}) {
    const v1::ComparisonSummary s = Compare({}, threads);
    EXPECT_EQ(s.match(), 6 * 600);
    ASSERT_EQ(rows_.size(), 6u * 600);
    EXPECT_EQ(rows_[600].position(), 3);
    EXPECT_EQ(rows_.back().position(), 2000000000);
  }
}

TEST_F(ComparisonTest, ACaptureDeletedMeanwhileIsNoResult) {
  for (const char* team : {"a", "b"}) {
    Put(team, Native(team), {{0, "embed", {1, 2}}, {1, "embed", {1, 2}}});
  }
  v1::CompareRequest request;
  request.set_run("r");
  request.set_reference("a");
  request.set_candidate("b");
  v1::ComparisonSummary summary;
  const absl::Status status = CompareCaptures(
      *store_, request,
      [&](const v1::ComparisonRow& row) {
        return row.position() == 0 ? store_->Delete("r", "b").status() : absl::OkStatus();
      },
      &summary);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("run \"r\", team \"b\" was deleted or replaced meanwhile"));
}

}  // namespace
}  // namespace parity::compare
