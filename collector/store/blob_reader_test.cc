#include "collector/store/blob_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "collector/store/test_captures.h"

namespace parity::store {
namespace {

class BlobReaderTest : public ::testing::Test {
 protected:
  // One capture whose only blob holds `sizes` tensors of as many floats, one after the other.
  void Write(const std::vector<int>& sizes) {
    const auto begun = store_->BeginCapture("r", "t", v1::Provenance(), "");
    ASSERT_TRUE(begun.ok()) << begun.status();
    TensorBatch batch;
    for (size_t i = 0; i < sizes.size(); ++i) {
      std::vector<float> values(sizes[i]);
      for (int j = 0; j < sizes[i]; ++j) values[j] = static_cast<float>(i * 1000000 + j);
      batch.AddTensor(static_cast<int32_t>(i), MakeTensor("logits", values));
    }
    ASSERT_TRUE(AppendAndWait(*store_, begun->id, std::move(batch)).ok());
  }

  const std::unique_ptr<CaptureStore> store_ = OpenNewStore();
};

TEST_F(BlobReaderTest, PartsAreTheSameInAnyOrderWholeOrAhead) {
  // Below, at and above what is read ahead, 16 Ki floats.
  Write({3, 16384, 1, 40000, 16383, 700});
  const auto reader = store_->OpenCapture("r", "t");
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto rows = (*reader)->ReadTensors();
  ASSERT_TRUE(rows.ok()) << rows.status();
  const std::unique_ptr<BlobReader> ahead = (*reader)->ReadAhead();
  for (const int i : {0, 1, 2, 3, 4, 5, 2, 0, 5, 3}) {
    const TensorRow& row = (*rows)[i];
    const auto part = ahead->Read(row.blob_id, row.offset, row.bytes);
    ASSERT_TRUE(part.ok()) << part.status();
    EXPECT_EQ(tensor::Checksum(*part), row.checksum) << i;
    EXPECT_EQ(*part, *(*reader)->ReadData(row)) << i;
  }
}

TEST_F(BlobReaderTest, ABlobThatIsShorterOrGoneIsAnErrorAndTheReaderGoesOn) {
  Write({100});
  const auto reader = store_->OpenCapture("r", "t");
  const auto rows = (*reader)->ReadTensors();
  ASSERT_TRUE(rows.ok()) << rows.status();
  const int64_t id = (*rows)[0].blob_id;
  const std::unique_ptr<BlobReader> ahead = (*reader)->ReadAhead();
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(absl::IsDataLoss(ahead->Read(id, 0, 401).status()));
    EXPECT_TRUE(absl::IsDataLoss(ahead->Read(id, int64_t{1} << 40, 1).status()));
    EXPECT_TRUE(absl::IsAborted(ahead->Read(id + 1, 0, 1).status()));
    EXPECT_EQ(ahead->Read(id, 396, 4)->size(), 4u);
  }
}

TEST_F(BlobReaderTest, OnlyAReaderAheadHoldsItsSnapshotAndOnlyUntilItLetsGo) {
  Write({100});
  const auto reader = store_->OpenCapture("r", "t");
  const auto rows = (*reader)->ReadTensors();
  ASSERT_TRUE(rows.ok()) << rows.status();
  const std::unique_ptr<BlobReader> ahead = (*reader)->ReadAhead();
  ASSERT_TRUE((*reader)->ReadData((*rows)[0]).ok());
  // "busy|frames in the log|frames moved": nobody holds the log back.
  const std::string path = store_->path();
  EXPECT_THAT(Query(path, "PRAGMA wal_checkpoint(TRUNCATE)"), testing::StartsWith("0|"));
  ASSERT_TRUE(ahead->Read((*rows)[0].blob_id, 0, 400).ok());
  Query(path, "UPDATE runs SET note = 'new'");
  EXPECT_THAT(Query(path, "PRAGMA wal_checkpoint(TRUNCATE)"), testing::StartsWith("1|"));
  ahead->Release();
  EXPECT_THAT(Query(path, "PRAGMA wal_checkpoint(TRUNCATE)"), testing::StartsWith("0|"));
}

}  // namespace
}  // namespace parity::store
