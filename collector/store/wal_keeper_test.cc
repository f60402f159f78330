#include "collector/store/wal_keeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "collector/store/database.h"
#include "collector/store/schema.h"
#include "collector/store/test_captures.h"

namespace parity::store {
namespace {

class WalKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = NewDatabasePath();
    auto database = OpenForWriting(path_);
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    keeper_ = std::make_unique<WalKeeper>(*database_);
  }

  // Commits a blob of so many bytes.
  void Commit(int64_t bytes) {
    const std::string sql =
        absl::StrCat("INSERT INTO blobs(capture_id, data) VALUES(1, zeroblob(", bytes, "))");
    const absl::Status status = database_->Execute(sql.c_str());
    ASSERT_TRUE(status.ok()) << status;
  }
  int64_t FileBytes(const std::string& suffix = "") const {
    return static_cast<int64_t>(std::filesystem::file_size(path_ + suffix));
  }
  int64_t WalBytes() const { return FileBytes("-wal"); }

  std::string path_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<WalKeeper> keeper_;
};

TEST_F(WalKeeperTest, NothingIsDueBeforeACommit) {
  keeper_->AfterCommit();
  EXPECT_EQ(keeper_->idle_time(), absl::InfiniteFuture());
}

TEST_F(WalKeeperTest, ACommitIsCheckpointedWhenIdleAndTheLogsSpaceGoesBackLater) {
  const int64_t before = FileBytes();
  Commit(1 << 20);
  keeper_->AfterCommit();
  EXPECT_LT(keeper_->idle_time(), absl::Now() + absl::Seconds(5));
  EXPECT_EQ(FileBytes(), before);  // still in the log only
  keeper_->OnIdle();
  EXPECT_GE(FileBytes(), before + (1 << 20));
  EXPECT_GT(WalBytes(), 0);
  EXPECT_GT(keeper_->idle_time(), absl::Now() + absl::Seconds(5));
  keeper_->OnIdle();
  EXPECT_EQ(WalBytes(), 0);
  EXPECT_EQ(keeper_->idle_time(), absl::InfiniteFuture());
}

TEST_F(WalKeeperTest, SpaceIsReservedOnlyForLargeTransactions) {
  Commit(1000);
  const int64_t small = WalBytes();
  keeper_->Reserve(1 << 20);
  EXPECT_EQ(WalBytes(), small);
  keeper_->Reserve(16 << 20);
  EXPECT_GE(WalBytes(), 32 << 20);
  Commit(16 << 20);
  EXPECT_GE(WalBytes(), 32 << 20);  // zeros behind the last frame disturb nobody
  EXPECT_EQ(Query(path_, "SELECT sum(length(data)) FROM blobs"), absl::StrCat((16 << 20) + 1000));
}

TEST_F(WalKeeperTest, WhatWasReservedIsGivenBack) {
  Commit(1000);
  keeper_->Reserve(16 << 20);
  keeper_->Truncate();
  EXPECT_EQ(WalBytes(), 0);
  EXPECT_EQ(keeper_->idle_time(), absl::InfiniteFuture());
}

TEST_F(WalKeeperTest, TheReservedLogIsRecoveredAfterACrash) {
  Commit(1000);
  keeper_->Reserve(8 << 20);
  Commit(2000);
  // A crash: the files as they are, without a close.
  const std::string copy = TestPath("copy.db");
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(path_ + suffix, copy + suffix,
                               std::filesystem::copy_options::overwrite_existing);
  }
  EXPECT_EQ(Query(copy, "SELECT sum(length(data)) FROM blobs"), "3000");
  EXPECT_EQ(Query(copy, "PRAGMA integrity_check"), "ok");
}

TEST_F(WalKeeperTest, AReaderOnlyDelaysTheCheckpoint) {
  Commit(1000);
  auto reader = OpenForReading(path_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_TRUE((*reader)->Execute("BEGIN; SELECT count(*) FROM blobs").ok());
  Commit(1 << 20);
  keeper_->AfterCommit();
  keeper_->OnIdle();
  keeper_->OnIdle();  // does not wait for the reader
  EXPECT_GT(WalBytes(), 0);
  ASSERT_TRUE((*reader)->Execute("COMMIT").ok());
  keeper_->Truncate();
  EXPECT_EQ(WalBytes(), 0);
}

}  // namespace
}  // namespace parity::store
