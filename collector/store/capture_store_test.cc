#include "collector/store/capture_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "collector/store/test_captures.h"

namespace parity::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CaptureStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open(OpenMode mode = OpenMode::kReadWrite) {
    store_.reset();
    auto store = CaptureStore::Open(path_, mode);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  int64_t Begin(const std::string& team) {
    const auto begun = store_->BeginCapture("run", team, v1::Provenance(), "a note");
    EXPECT_TRUE(begun.ok()) << begun.status();
    return begun.ok() ? begun->id : 0;
  }
  AppendResult Append(int64_t id, const v1::Frame& frame, bool import = false) {
    const auto result = AppendAndWait(*store_, id, BatchOf(frame), import);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : AppendResult();
  }

  const std::string path_ = NewDatabasePath();
  std::unique_ptr<CaptureStore> store_;
};

TEST_F(CaptureStoreTest, WhatWasAppendedIsReadBackInForwardOrder) {
  const int64_t id = Begin("team");
  for (const int position : {2, 0, 1}) EXPECT_EQ(Append(id, MakeFrame(position)).stored, 2);
  ASSERT_TRUE(store_->Seal(id, Captured(6), "").ok());

  const auto reader = store_->OpenCapture("run", "team");
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->capture().status(), v1::CAPTURE_STATUS_COMPLETE);
  EXPECT_EQ((*reader)->capture().tensors(), 6);
  EXPECT_EQ((*reader)->capture().positions(), 3);
  EXPECT_EQ((*reader)->capture().checkpoints(), 2);
  EXPECT_EQ((*reader)->capture().bytes(), 6 * 32);
  const auto rows = (*reader)->ReadTensors();
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 6u);
  for (int i = 0; i < 6; ++i) {
    const TensorRow& row = (*rows)[i];
    const v1::Tensor expected = MakeFrame(i / 2).tensors(i % 2);
    EXPECT_EQ(row.position, i / 2);
    EXPECT_EQ((*reader)->checkpoints()[row.checkpoint].name, expected.checkpoint());
    EXPECT_THAT((*reader)->shape(row), ElementsAre(8));
    EXPECT_EQ(row.checksum, expected.xxh3());
    EXPECT_EQ(row.statistics.max, std::max(i / 2, i % 2 == 0 ? 5 : 6));
    const auto data = (*reader)->ReadData(row);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(*data, expected.data());
  }
  const auto tokens = (*reader)->ReadTokens();
  ASSERT_TRUE(tokens.ok());
  ASSERT_EQ(tokens->size(), 3u);
  EXPECT_EQ((*tokens)[2].input_token_id(), 1002);
  EXPECT_FALSE((*tokens)[2].has_chosen_token_id());
}

TEST_F(CaptureStoreTest, RowsAreFilteredByPositionAndCheckpoint) {
  WriteCapture(*store_, "run", "team", 5);
  const auto reader = store_->OpenCapture("run", "team");
  ASSERT_TRUE(reader.ok());
  RowFilter filter;
  filter.first_position = 1;
  filter.last_position = 3;
  filter.checkpoints = {false, true};  // embed, logits
  const auto rows = (*reader)->ReadTensors(filter);
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0].position, 1);
  const auto tensor = (*reader)->ReadTensor(4, "logits");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->data(), MakeFrame(4).tensors(1).data());
  EXPECT_TRUE(absl::IsNotFound((*reader)->ReadTensor(5, "logits").status()));
  EXPECT_TRUE(absl::IsNotFound((*reader)->ReadTensor(4, "nothing").status()));
}

TEST_F(CaptureStoreTest, SameBytesAgainAreDuplicatesAndOtherBytesConflict) {
  const int64_t id = Begin("team");
  Append(id, MakeFrame(0));
  const AppendResult again = Append(id, MakeFrame(0));
  EXPECT_EQ(again.duplicate, 2);
  EXPECT_EQ(again.stored, 0);

  v1::Frame other = MakeFrame(0);
  *other.mutable_tensors(1) = MakeTensor("logits", {9, 9, 9, 9, 9, 9, 9, 9});
  const AppendResult conflict = Append(id, other);
  EXPECT_EQ(conflict.duplicate, 1);
  EXPECT_EQ(conflict.conflicting, 1);
  EXPECT_THAT(conflict.first_conflict, HasSubstr("position 0, logits: F32 [8]"));

  const auto reader = store_->OpenCapture("run", "team");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->ReadTensor(0, "logits")->data(), MakeFrame(0).tensors(1).data());
  EXPECT_EQ((*reader)->capture().tensors(), 2);
  EXPECT_EQ(Query(path_, "SELECT count(*) FROM blobs"), "1");
}

TEST_F(CaptureStoreTest, AnotherInputTokenConflictsAndUnknownIsFilledIn) {
  const int64_t id = Begin("team");
  v1::Frame frame;
  frame.set_input_token_id(-1);
  EXPECT_EQ(Append(id, frame).conflicting, 0);
  frame.set_input_token_id(7);
  frame.set_chosen_token_id(9);
  frame.set_chosen_text("\xf0\x9f");  // half of an emoji
  EXPECT_EQ(Append(id, frame).conflicting, 0);
  frame.set_input_token_id(8);
  const AppendResult conflict = Append(id, frame);
  EXPECT_EQ(conflict.conflicting, 1);
  EXPECT_THAT(conflict.first_conflict, HasSubstr("input token id 8, but 7 is stored"));
  const auto tokens = (*store_->OpenCapture("run", "team"))->ReadTokens();
  ASSERT_EQ(tokens->size(), 1u);
  EXPECT_EQ((*tokens)[0].input_token_id(), 7);
  EXPECT_EQ((*tokens)[0].chosen_token_id(), 9);
  EXPECT_EQ((*tokens)[0].chosen_text(), "\xf0\x9f");
}

TEST_F(CaptureStoreTest, ASealIsCompleteOnlyWhenTheCountsMatch) {
  const int64_t id = Begin("team");
  Append(id, MakeFrame(0));
  const auto sealed = store_->Seal(id, Captured(3), "");
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->status(), v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(sealed->message(), "2 stored of 3 captured");
  // Sealed is sealed.
  const auto late = AppendAndWait(*store_, id, BatchOf(MakeFrame(1)));
  EXPECT_TRUE(absl::IsFailedPrecondition(late.status())) << late.status();
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->Seal(id, Captured(2), "").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      store_->BeginCapture("run", "team", v1::Provenance(), "").status()));
  const auto run = store_->GetRun("run");
  EXPECT_EQ(run->captures(0).message(), "2 stored of 3 captured");
  EXPECT_EQ(run->note(), "a note");
}

TEST_F(CaptureStoreTest, ASuspendedCaptureIsResumedByTheSameEngineOnly) {
  const int64_t id = Begin("team");
  Append(id, MakeFrame(0));
  ASSERT_TRUE(store_->Suspend(id, Captured(2), "the stream ended without a seal").ok());
  EXPECT_EQ(store_->GetRun("run")->captures(0).status(), v1::CAPTURE_STATUS_INCOMPLETE);
  v1::Provenance other;
  other.set_model_sha256("ff");
  const auto refused = store_->BeginCapture("run", "team", other, "");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("model_sha256"));
  const auto resumed = store_->BeginCapture("run", "team", v1::Provenance(), "");
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_TRUE(resumed->resumed);
  EXPECT_EQ(resumed->id, id);
}

TEST_F(CaptureStoreTest, ReopeningMarksWhatWasOpen) {
  Begin("team");
  Open();
  const v1::Capture capture = store_->GetRun("run")->captures(0);
  EXPECT_EQ(capture.status(), v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_THAT(capture.message(), HasSubstr("stopped"));
}

TEST_F(CaptureStoreTest, AnImportIsInvisibleUntilFinishedAndTheLastValueWins) {
  WriteCapture(*store_, "run", "team", 1);
  EXPECT_TRUE(absl::IsAlreadyExists(store_->BeginImport("run", "team", false).status()));
  const auto id = store_->BeginImport("run", "team", true);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(Append(*id, MakeFrame(5), true).stored, 2);
  v1::Frame again = MakeFrame(5);
  *again.mutable_tensors(0) = MakeTensor("embed", {1, std::numeric_limits<float>::infinity()});
  EXPECT_EQ(Append(*id, again, true).superseded, 2);
  EXPECT_EQ(store_->GetRun("run")->captures_size(), 1);
  EXPECT_EQ(Query(path_, "SELECT count(*) FROM v_tensors"), "2");
  ASSERT_TRUE(store_->FinishImports({{*id, v1::Provenance(), /*replace=*/true}}).ok());

  const auto reader = store_->OpenCapture("run", "team");
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto rows = (*reader)->ReadTensors();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].position, 5);
  EXPECT_EQ(*(*reader)->ReadData((*rows)[0]), again.tensors(0).data());
  EXPECT_EQ(*(*reader)->ReadData((*rows)[1]), again.tensors(1).data());
  const v1::Capture& capture = (*reader)->capture();
  EXPECT_EQ(capture.tensors(), 2);
  EXPECT_EQ(capture.bytes(), 8 + 32);
  EXPECT_EQ(capture.non_finite(), 1);
  EXPECT_EQ(capture.status(), v1::CAPTURE_STATUS_COMPLETE);
}

TEST_F(CaptureStoreTest, AbandonedAndForgottenImportsLeaveNothing) {
  const auto id = store_->BeginImport("new-run", "team", false);
  ASSERT_TRUE(id.ok());
  Append(*id, MakeFrame(0), true);
  ASSERT_TRUE(store_->AbandonImport(*id).ok());
  EXPECT_EQ(Query(path_, "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM blobs)"), "0");
  const auto forgotten = store_->BeginImport("new-run", "team", false);
  Append(*forgotten, MakeFrame(0), true);
  EXPECT_TRUE(store_->ListRuns(10, "")->empty());
  Open();
  EXPECT_EQ(Query(path_, "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM blobs)"), "0");
}

TEST_F(CaptureStoreTest, DeletingRemovesEverythingAndTheFileShrinks) {
  const int64_t first = WriteCapture(*store_, "run", "a", 2);
  const int64_t second = WriteCapture(*store_, "run", "b", 2);
  const int64_t large = Begin("large");
  for (int position = 0; position < 20; ++position) Append(large, MakeFrame(position, 20000));
  v1::ComparisonSummary summary;
  ASSERT_TRUE(store_->StoreComparison(first, second, summary, {}).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Delete("run", "nobody").status()));

  const auto one = store_->Delete("run", "large");
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->tensors(), 40);
  EXPECT_LT(std::filesystem::file_size(path_), 20u * 2 * 80000);
  const auto all = store_->Delete("run", "");
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->captures(), 2);
  EXPECT_EQ(Query(path_,
                  "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM captures), (SELECT "
                  "count(*) FROM tensors), (SELECT count(*) FROM tokens), (SELECT count(*) FROM "
                  "blobs), (SELECT count(*) FROM comparisons), (SELECT count(*) FROM "
                  "capture_checkpoints)"),
            "0|0|0|0|0|0|0");
  EXPECT_TRUE(absl::IsNotFound(store_->GetRun("run").status()));
  // The writer knows that the capture is gone.
  const auto late = AppendAndWait(*store_, large, BatchOf(MakeFrame(0)));
  EXPECT_TRUE(absl::IsNotFound(late.status())) << late.status();
}

TEST_F(CaptureStoreTest, AReaderOfADeletedCaptureIsToldSo) {
  WriteCapture(*store_, "run", "team", 1);
  const auto reader = store_->OpenCapture("run", "team");
  const auto rows = (*reader)->ReadTensors();
  ASSERT_EQ(rows->size(), 2u);
  ASSERT_TRUE(store_->Delete("run", "").ok());
  EXPECT_TRUE(absl::IsAborted((*reader)->ReadData((*rows)[0]).status()));
}

TEST_F(CaptureStoreTest, WhatEveryAnswerHoldsIsBounded) {
  const std::string most((64 << 10), 'n');
  EXPECT_TRUE(store_->BeginCapture("run", "team", v1::Provenance(), most).ok());
  const absl::Status note =
      store_->BeginCapture("other", "team", v1::Provenance(), most + "n").status();
  EXPECT_TRUE(absl::IsInvalidArgument(note)) << note;
  v1::Provenance provenance;
  (*provenance.mutable_extra())["key"] = most;
  const absl::Status large = store_->BeginCapture("other", "team", provenance, "").status();
  EXPECT_TRUE(absl::IsInvalidArgument(large)) << large;
  EXPECT_TRUE(absl::IsNotFound(store_->GetRun("other").status())) << "nothing was made";
}

TEST_F(CaptureStoreTest, NamesAreChecked) {
  for (const char* run : {"", "a b", "a/b", "caf\xc3\xa9"}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(store_->BeginCapture(run, "team", v1::Provenance(), "").status()))
        << run;
  }
  for (const char* team : {"", "a/b", "caf\xc3\xa9"}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(store_->BeginCapture("run", team, v1::Provenance(), "").status()))
        << team;
    EXPECT_TRUE(absl::IsInvalidArgument(store_->BeginImport("run", team, false).status())) << team;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(store_->BeginImport("a b", "team", false).status()));
  EXPECT_TRUE(store_->BeginCapture("run", "llama.cpp b1 + x", v1::Provenance(), "").ok());
}

TEST_F(CaptureStoreTest, RunsAreListedNewestFirstByGlob) {
  for (const char* run : {"a1", "a2", "b1"}) WriteCapture(*store_, run, "team", 1);
  const auto all = store_->ListRuns(10, "");
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[0].name(), "b1");
  EXPECT_EQ(store_->ListRuns(10, "a*")->size(), 2u);
  EXPECT_EQ(store_->ListRuns(1, "")->size(), 1u);
  EXPECT_THAT(*store_->RunCheckpoints("a1"), ElementsAre("embed", "logits"));
  const auto missing = store_->OpenCapture("a1", "other");
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("it has \"team\""));
}

TEST_F(CaptureStoreTest, ReadersWorkBesideTheWriterAndOneWriterOnly) {
  WriteCapture(*store_, "run", "team", 1);
  const auto second = CaptureStore::Open(path_, OpenMode::kReadWrite);
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("in use by process ", getpid())));
  const std::string link = path_ + ".link";
  std::filesystem::create_symlink(path_, link);
  EXPECT_TRUE(absl::IsUnavailable(CaptureStore::Open(link, OpenMode::kReadWrite).status()))
      << "a link to a database that is in use";
  const auto reader = CaptureStore::Open(path_, OpenMode::kReadOnly);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->GetRun("run")->captures_size(), 1);
  EXPECT_TRUE(absl::IsFailedPrecondition((*reader)->Delete("run", "").status()));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(AppendAndWait(**reader, 1, BatchOf(MakeFrame(1))).status()));
}

TEST_F(CaptureStoreTest, ANearlyFullDiskRefusesWritesButNotDeletion) {
  WriteCapture(*store_, "run", "team", 1);
  store_.reset();
  StoreOptions options;
  options.min_free_bytes = std::numeric_limits<int64_t>::max();
  auto store = CaptureStore::Open(path_, OpenMode::kReadWrite, options);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(
      absl::IsResourceExhausted((*store)->BeginCapture("run", "b", v1::Provenance(), "").status()));
  EXPECT_TRUE(absl::IsResourceExhausted(AppendAndWait(**store, 1, BatchOf(MakeFrame(9))).status()));
  EXPECT_TRUE((*store)->Delete("run", "").ok());
}

TEST_F(CaptureStoreTest, ComparisonsReplaceEarlierOnesAndFeedTheViews) {
  const int64_t reference = WriteCapture(*store_, "run", "a", 2);
  const int64_t candidate = WriteCapture(*store_, "run", "b", 2);
  v1::ComparisonSummary summary;
  summary.set_verdict(v1::VERDICT_DIVERGED);
  summary.set_profile("q4");
  std::vector<v1::ComparisonRow> rows(2);
  rows[0].set_position(1);
  rows[0].set_checkpoint("logits");
  rows[0].set_verdict(v1::ROW_VERDICT_DIVERGED);
  rows[0].set_nmse(0.5);
  rows[0].set_top1_match(false);
  rows[0].set_kl_divergence(0.25);
  rows[1] = rows[0];
  rows[1].set_checkpoint("embed");
  rows[1].set_verdict(v1::ROW_VERDICT_UNMEASURED);
  *summary.mutable_first_divergence() = rows[0];
  const auto first = store_->StoreComparison(reference, candidate, summary, rows);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = store_->StoreComparison(reference, candidate, summary, rows);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_GT(*second, *first);
  EXPECT_EQ(
      Query(path_, "SELECT checkpoint, verdict, nmse, top1_match FROM v_diffs ORDER BY ordinal"),
      "embed|UNMEASURED|NULL|0\nlogits|DIVERGED|0.5|0");
  EXPECT_EQ(Query(path_,
                  "SELECT run, reference, candidate, verdict, position, checkpoint, nmse FROM "
                  "v_first_divergence"),
            "run|a|b|DIVERGED|1|logits|0.5");
  EXPECT_EQ(Query(path_,
                  "SELECT position, same_input, same_chosen, top1_match, kl_divergence FROM "
                  "v_token_agreement ORDER BY position"),
            "0|1|NULL|NULL|NULL\n1|1|NULL|0|0.25");
  EXPECT_EQ(Query(path_, "SELECT run, team, status, tensors, positions FROM v_runs ORDER BY team"),
            "run|a|complete|4|2\nrun|b|complete|4|2");
  const auto gone = store_->StoreComparison(reference, candidate + 100, summary, rows);
  EXPECT_FALSE(gone.ok());
}

}  // namespace
}  // namespace parity::store
