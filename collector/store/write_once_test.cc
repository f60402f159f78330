// A new file that one import is all of (StoreOptions::write_once): what is left of it, and who is
// in the way.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "collector/store/capture_store.h"
#include "collector/store/schema.h"
#include "collector/store/test_captures.h"

namespace parity::store {
namespace {

constexpr int kElements = 4096;  // 16 KiB a tensor

StoreOptions WriteOnce() {
  StoreOptions options;
  options.min_free_bytes = 0;
  options.write_once = true;
  return options;
}

// Imports `positions` frames, answered one by one.
void ImportFrames(CaptureStore& store, int64_t id, int positions) {
  for (int32_t position = 0; position < positions; ++position) {
    const auto result =
        AppendAndWait(store, id, BatchOf(MakeFrame(position, kElements)), /*import=*/true);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->stored, 2);
  }
}

TEST(WriteOnceTest, AnImportIntoANewFileLeavesAFileLikeAnyOther) {
  const std::string path = NewDatabasePath();
  {
    auto store = CaptureStore::Open(path, OpenMode::kReadWrite, WriteOnce());
    ASSERT_TRUE(store.ok()) << store.status();
    const auto id = (*store)->BeginImport("run", "team", false);
    ASSERT_TRUE(id.ok()) << id.status();
    ImportFrames(**store, *id, 400);  // 13 MB: more than the cache
    EXPECT_GT(std::filesystem::file_size(path), 1u << 20) << "nothing went past the cache";
    EXPECT_FALSE(std::filesystem::exists(path + "-wal"));
    ASSERT_TRUE((*store)->FinishImports({{*id, v1::Provenance()}}).ok());
    EXPECT_FALSE(std::filesystem::exists(path + "-journal"));
    EXPECT_EQ((*store)->GetRun("run")->captures(0).tensors(), 800);
    WriteCapture(**store, "run", "live", 3);  // as ever from here on
    EXPECT_TRUE(std::filesystem::exists(path + "-wal"));
  }
  EXPECT_FALSE(std::filesystem::exists(path + "-wal"));
  for (const auto& [pragma, value] :
       std::vector<std::pair<std::string, std::string>>{{"page_size", "65536"},
                                                        {"journal_mode", "wal"},
                                                        {"auto_vacuum", "2"},
                                                        {"user_version", "1"},
                                                        {"integrity_check", "ok"}}) {
    EXPECT_EQ(Query(path, "PRAGMA " + pragma), value) << pragma;
  }
  EXPECT_EQ(Query(path, "SELECT team, status, tensors FROM captures ORDER BY id"),
            "team|complete|800\nlive|complete|6");
}

// The database's file and all that may be left beside it.
std::vector<std::string> Left(const std::string& path) {
  std::vector<std::string> left;
  for (const char* suffix : {"", "-journal", "-wal", "-shm", ".lock"}) {
    if (std::filesystem::exists(path + suffix)) left.push_back(path + suffix);
  }
  return left;
}

TEST(WriteOnceTest, AnAbandonedImportAndNoneLeaveNoFile) {
  for (const bool begun : {true, false}) {
    const std::string path = NewDatabasePath();
    {
      auto store = CaptureStore::Open(path, OpenMode::kReadWrite, WriteOnce());
      ASSERT_TRUE(store.ok()) << store.status();
      EXPECT_EQ((*store)->unfinished_files(),
                (std::vector<std::string>{path, path + "-journal", path + "-wal", path + "-shm",
                                          path + ".lock"}));
      if (begun) {
        const auto id = (*store)->BeginImport("run", "team", false);
        ASSERT_TRUE(id.ok()) << id.status();
        ImportFrames(**store, *id, 20);
        ASSERT_TRUE((*store)->AbandonImport(*id).ok());
      }
    }
    EXPECT_EQ(Left(path), std::vector<std::string>());
  }
}

TEST(WriteOnceTest, ALinkToAFileThatIsNotThereStays) {
  const std::string path = NewDatabasePath(), link = path + ".link";
  std::filesystem::remove(link);
  std::filesystem::create_symlink(path, link);
  ASSERT_TRUE(CaptureStore::Open(link, OpenMode::kReadWrite, WriteOnce()).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(Left(path), std::vector<std::string>());
}

TEST(WriteOnceTest, ARunThatWasIngestedStays) {
  const std::string path = NewDatabasePath();
  {
    auto store = CaptureStore::Open(path, OpenMode::kReadWrite, WriteOnce());
    ASSERT_TRUE(store.ok()) << store.status();
    WriteCapture(**store, "run", "live", 1);
  }
  EXPECT_EQ(Query(path, "SELECT count(*) FROM runs"), "1");
}

TEST(WriteOnceTest, AnAbandonedImportAndNoneLeaveAnEmptyDatabaseOfAnEmptyFile) {
  for (const bool begun : {true, false}) {
    const std::string path = NewDatabasePath();
    std::ofstream(path).close();
    {
      auto store = CaptureStore::Open(path, OpenMode::kReadWrite, WriteOnce());
      ASSERT_TRUE(store.ok()) << store.status();
      EXPECT_EQ((*store)->unfinished_files(), std::vector<std::string>());
      if (begun) {
        const auto id = (*store)->BeginImport("run", "team", false);
        ASSERT_TRUE(id.ok()) << id.status();
        ImportFrames(**store, *id, 20);
        ASSERT_TRUE((*store)->AbandonImport(*id).ok());
        const auto result = AppendAndWait(**store, *id, BatchOf(MakeFrame(0)), /*import=*/true);
        EXPECT_TRUE(absl::IsNotFound(result.status())) << result.status();
      }
    }
    EXPECT_EQ(Query(path, "PRAGMA journal_mode"), "wal");
    EXPECT_EQ(Query(path, "SELECT count(*) FROM blobs"), "0");
    EXPECT_EQ(Query(path, "SELECT count(*) FROM runs"), "0");
    EXPECT_TRUE(CaptureStore::Open(path, OpenMode::kReadOnly).ok());
  }
}

// A connection of another program inside a read transaction.
class Reader {
 public:
  explicit Reader(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &handle_), SQLITE_OK);
    EXPECT_EQ(Try("BEGIN; SELECT * FROM sqlite_schema"), SQLITE_OK);
  }
  ~Reader() { sqlite3_close(handle_); }
  int Try(const char* sql) { return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); }

 private:
  sqlite3* handle_ = nullptr;
};

// Imports two frames, and expects that readers can read meanwhile.
void ExpectWrittenWithALog(const std::string& path, Reader& reader) {
  auto store = CaptureStore::Open(path, OpenMode::kReadWrite, WriteOnce());
  ASSERT_TRUE(store.ok()) << store.status();
  const auto id = (*store)->BeginImport("run", "team", true);
  ASSERT_TRUE(id.ok()) << id.status();
  ImportFrames(**store, *id, 2);
  EXPECT_TRUE(std::filesystem::exists(path + "-wal"));
  EXPECT_EQ(reader.Try("SELECT * FROM sqlite_schema"), SQLITE_OK);
  EXPECT_EQ(Query(path, "SELECT status FROM captures WHERE id = (SELECT max(id) FROM captures)"),
            "importing");
  EXPECT_TRUE((*store)->FinishImports({{*id, v1::Provenance(), /*replace=*/true}}).ok());
}

TEST(WriteOnceTest, AReaderInTheWayAndAnOlderFileAreWrittenWithALog) {
  const std::string path = NewDatabasePath();
  std::ofstream(path).close();
  Reader reader(path);
  std::thread leaves([&] {  // not even the schema can be written while somebody reads nothing
    absl::SleepFor(absl::Milliseconds(300));
    EXPECT_EQ(reader.Try("COMMIT"), SQLITE_OK);
  });
  ExpectWrittenWithALog(path, reader);
  leaves.join();
  ExpectWrittenWithALog(path, reader);
}

TEST(WriteOnceTest, AReaderAtTheEndLeavesTheRollbackJournalUntilTheNextWriter) {
  const std::string path = NewDatabasePath();
  {
    auto database = OpenForWriting(path, /*write_once=*/true);
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE((*database)->InTransaction());
    ASSERT_TRUE((*database)->Execute("COMMIT").ok());
    Reader reader(path);
    EXPECT_TRUE(absl::IsUnavailable(EndWriteOnce(**database)));
    EXPECT_EQ(Query(path, "PRAGMA journal_mode"), "delete");
    EXPECT_EQ(*(*database)->QueryInt("PRAGMA synchronous"), 2);  // full
  }
  EXPECT_EQ(Query(path, "PRAGMA integrity_check"), "ok");
  ASSERT_TRUE(CaptureStore::Open(path, OpenMode::kReadWrite).ok());
  EXPECT_EQ(Query(path, "PRAGMA journal_mode"), "wal");
}

// Child: imports frames and reports each answered position, until something fails or it is killed.
// Returns the failure after closing the store.
int ImportForEver(const std::string& path, int report_fd) {
  auto store = CaptureStore::Open(path, OpenMode::kReadWrite, WriteOnce());
  if (!store.ok()) return 100;
  const auto id = (*store)->BeginImport("run", "team", false);
  if (!id.ok()) return 101;
  for (int32_t position = 0;; ++position) {
    const auto result =
        AppendAndWait(**store, *id, BatchOf(MakeFrame(position, kElements)), /*import=*/true);
    if (!result.ok()) return static_cast<int>(result.status().code());
    if (write(report_fd, &position, sizeof(position)) != sizeof(position)) return 102;
  }
}

TEST(WriteOnceTest, AFullDiskLeavesAnEmptyDatabaseOrNone) {
  for (const bool was_there : {true, false}) {
    const std::string path = NewDatabasePath();
    if (was_there) std::ofstream(path).close();
    const int devnull = open("/dev/null", O_WRONLY);
    const pid_t child = fork();
    if (child == 0) {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit limit = {12 << 20, 12 << 20};
      setrlimit(RLIMIT_FSIZE, &limit);
      _exit(ImportForEver(path, devnull));
    }
    close(devnull);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(absl::StatusCode::kResourceExhausted));
    if (!was_there) {
      EXPECT_EQ(Left(path), std::vector<std::string>());
      continue;
    }
    EXPECT_LT(std::filesystem::file_size(path), 2u << 20);
    EXPECT_EQ(Query(path, "PRAGMA journal_mode"), "wal");
    EXPECT_EQ(Query(path, "SELECT count(*) FROM captures"), "0");
  }
}

TEST(WriteOnceTest, KillNineInTheMiddleOfAnImportLeavesNothingOfIt) {
  const std::string path = NewDatabasePath();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) _exit(ImportForEver(path, ends[1]));
  close(ends[1]);
  int32_t last = -1;
  while (last < 800 && read(ends[0], &last, sizeof(last)) == sizeof(last)) {
  }
  ASSERT_EQ(last, 800);
  kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  close(ends[0]);
  EXPECT_GT(std::filesystem::file_size(path), 1u << 20) << "killed before anything was written";
  // Whoever comes first undoes it, a reader too.
  const absl::Status read = CaptureStore::Open(path, OpenMode::kReadOnly).status();
  EXPECT_EQ(read.message(), path + ": is empty, not a Parity database");
  EXPECT_EQ(std::filesystem::file_size(path), 0u);
  EXPECT_TRUE(CaptureStore::Open(path, OpenMode::kReadWrite, WriteOnce()).ok());
  EXPECT_EQ(Query(path, "SELECT count(*) FROM captures"), "0");
}

}  // namespace
}  // namespace parity::store
