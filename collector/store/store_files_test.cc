// What kinds of files the store meets, and what is left of one after a disaster.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "collector/store/capture_store.h"
#include "collector/store/test_captures.h"

namespace parity::store {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kElements = 4096;  // 16 KiB a tensor

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

absl::Status OpenStatus(const std::string& path, OpenMode mode) {
  return CaptureStore::Open(path, mode).status();
}

TEST(StoreFilesTest, WhatIsNoDatabaseIsRefusedAndLeftAlone) {
  const std::string path = NewDatabasePath();
  const std::string text(5000, 'x');
  WriteFile(path, text);
  for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly}) {
    const absl::Status status = OpenStatus(path, mode);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(MessageOf(status), path + ": is not a SQLite database");
  }
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text);
}

TEST(StoreFilesTest, AnotherProgramsDatabaseIsRefused) {
  const std::string path = NewDatabasePath();
  Query(path, "CREATE TABLE mine(x); PRAGMA application_id = 77");
  for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly}) {
    const absl::Status status = OpenStatus(path, mode);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("another program's database"));
  }
}

TEST(StoreFilesTest, ANewerSchemaIsRefused) {
  const std::string path = NewDatabasePath();
  ASSERT_TRUE(OpenStatus(path, OpenMode::kReadWrite).ok());
  Query(path, "PRAGMA user_version = 99");
  for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly}) {
    const absl::Status status = OpenStatus(path, mode);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("has schema version 99, this program knows up to 1"));
  }
}

TEST(StoreFilesTest, EmptyMissingAndUnreachableFiles) {
  const std::string path = NewDatabasePath();
  EXPECT_TRUE(absl::IsNotFound(OpenStatus(path, OpenMode::kReadOnly)));
  WriteFile(path, "");
  EXPECT_THAT(MessageOf(OpenStatus(path, OpenMode::kReadOnly)), HasSubstr("is empty"));
  EXPECT_TRUE(OpenStatus(path, OpenMode::kReadWrite).ok());
  EXPECT_TRUE(absl::IsNotFound(OpenStatus(path + ".d/x.db", OpenMode::kReadWrite)));
  const std::string directory = std::filesystem::path(path).parent_path();
  for (const OpenMode mode : {OpenMode::kReadOnly, OpenMode::kReadWrite}) {
    const absl::Status status = OpenStatus(directory, mode);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("is a directory"));
  }
}

TEST(StoreFilesTest, TheSettingsThatWereMeasuredAreSet) {
  const std::string path = NewDatabasePath();
  ASSERT_TRUE(OpenStatus(path, OpenMode::kReadWrite).ok());
  EXPECT_EQ(Query(path, "PRAGMA page_size"), "65536");
  EXPECT_EQ(Query(path, "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(Query(path, "PRAGMA auto_vacuum"), "2");  // incremental
  EXPECT_EQ(Query(path, "PRAGMA integrity_check"), "ok");
  EXPECT_FALSE(std::filesystem::exists(path + ".lock"));
  EXPECT_FALSE(std::filesystem::exists(path + "-wal"));
}

// Runs `check` in a child whom permissions bind, and returns what it returned: a root's child
// becomes nobody (65534 on Linux).
std::string AsOrdinaryUser(const std::function<std::string()>& check) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool bound =
        geteuid() != 0 || (setgroups(0, nullptr) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    const std::string answer = bound ? check() : "cannot become nobody";
    const bool told =
        write(ends[1], answer.data(), answer.size()) == static_cast<ssize_t>(answer.size());
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  std::string answer;
  char piece[256];
  for (ssize_t got = 0; (got = read(ends[0], piece, sizeof(piece))) > 0;) answer.append(piece, got);
  close(ends[0]);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return answer;
}

TEST(StoreFilesTest, ReadOnlyFilesAndDirectories) {
  // Not in TempDir(): that may lie in a folder which only root may enter.
  std::string directory = std::filesystem::temp_directory_path() / "parity_store.XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/parity.db";
  {
    auto store = CaptureStore::Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(store.ok());
    WriteCapture(**store, "run", "team", 1);
  }
  if (geteuid() == 0) {
    ASSERT_EQ(chown(directory.c_str(), 65534, 65534), 0);
    ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
  }
  const auto open = [&] { return OpenStatus(path, OpenMode::kReadWrite).ToString(); };
  EXPECT_EQ(AsOrdinaryUser(open), "OK");
  using std::filesystem::perms;
  std::filesystem::permissions(path, perms::owner_read);
  EXPECT_THAT(AsOrdinaryUser(open), StartsWith("PERMISSION_DENIED: " + path));
  std::filesystem::permissions(directory, perms::owner_read | perms::owner_exec);
  EXPECT_THAT(AsOrdinaryUser(open), StartsWith("PERMISSION_DENIED: " + path));
  EXPECT_EQ(AsOrdinaryUser([&] {
              auto reader = CaptureStore::Open(path, OpenMode::kReadOnly);
              if (!reader.ok()) return reader.status().ToString();
              return absl::StrCat((*reader)->GetRun("run")->captures(0).tensors(), " tensors");
            }),
            "2 tensors");
  std::filesystem::permissions(directory, perms::owner_all);
  std::filesystem::remove_all(directory);
}

// Child: appends frames and reports each committed position, until something fails or it is killed.
[[noreturn]] void AppendForEver(const std::string& path, int report_fd) {
  StoreOptions options;
  options.min_free_bytes = 0;
  auto store = CaptureStore::Open(path, OpenMode::kReadWrite, options);
  if (!store.ok()) _exit(100);
  const auto begun = (*store)->BeginCapture("run", "team", v1::Provenance(), "");
  if (!begun.ok()) _exit(101);
  for (int32_t position = 0;; ++position) {
    const auto result = AppendAndWait(**store, begun->id, BatchOf(MakeFrame(position, kElements)));
    if (!result.ok()) _exit(static_cast<int>(result.status().code()));
    if (write(report_fd, &position, sizeof(position)) != sizeof(position)) _exit(102);
  }
}

struct Child {
  pid_t pid = 0;
  int reports = -1;
};

Child StartAppending(const std::string& path, rlim_t max_file_bytes) {
  int fds[2];
  EXPECT_EQ(pipe(fds), 0);
  Child child;
  child.pid = fork();
  if (child.pid == 0) {
    close(fds[0]);
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {max_file_bytes, max_file_bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    AppendForEver(path, fds[1]);
  }
  close(fds[1]);
  child.reports = fds[0];
  return child;
}

// Everything that was reported is there, whole; the last report read is `last`.
void ExpectAllThere(const std::string& path, int32_t last) {
  auto store = CaptureStore::Open(path, OpenMode::kReadWrite);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto reader = (*store)->OpenCapture("run", "team");
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->capture().status(), v1::CAPTURE_STATUS_INCOMPLETE);
  const auto rows = (*reader)->ReadTensors();
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_GE(rows->size(), 2u * (last + 1));
  EXPECT_EQ(rows->size() % 2, 0u) << "half a frame";
  EXPECT_EQ((*reader)->capture().tensors(), rows->size());
  for (const TensorRow& row : *rows) {
    const auto data = (*reader)->ReadData(row);
    ASSERT_TRUE(data.ok()) << data.status();
    ASSERT_EQ(tensor::Checksum(*data), row.checksum);
  }
  EXPECT_EQ(Query(path, "PRAGMA integrity_check"), "ok");
}

TEST(StoreFilesTest, WhatWasCommittedSurvivesKillNine) {
  const std::string path = NewDatabasePath();
  const Child child = StartAppending(path, RLIM_INFINITY);
  int32_t last = -1;
  while (last < 50 && read(child.reports, &last, sizeof(last)) == sizeof(last)) {
  }
  ASSERT_EQ(last, 50);
  kill(child.pid, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  while (read(child.reports, &last, sizeof(last)) == sizeof(last)) {
  }
  close(child.reports);
  ExpectAllThere(path, last);
}

TEST(StoreFilesTest, AFullDiskIsResourceExhaustedAndLeavesNothingHalfWritten) {
  const std::string path = NewDatabasePath();
  const Child child = StartAppending(path, 8 << 20);
  int32_t last = -1;
  while (read(child.reports, &last, sizeof(last)) == sizeof(last)) {
  }
  close(child.reports);
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_GT(last, 5);
  ExpectAllThere(path, last);
}

TEST(StoreFilesTest, ADamagedFileIsDataLossNotACrash) {
  const std::string path = NewDatabasePath();
  {
    auto store = CaptureStore::Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(store.ok());
    WriteCapture(**store, "run", "team", 3);
  }
  Query(path,
        "UPDATE tensors SET blob_offset = 1 << 40 WHERE position = 0;"
        "UPDATE tensors SET bytes = 12 WHERE position = 1;"
        "UPDATE tensors SET shape = '[8' WHERE position = 2");
  auto store = CaptureStore::Open(path, OpenMode::kReadOnly);
  ASSERT_TRUE(store.ok());
  const auto reader = (*store)->OpenCapture("run", "team");
  RowFilter filter;
  filter.last_position = 0;
  const auto rows = (*reader)->ReadTensors(filter);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_TRUE(absl::IsDataLoss((*reader)->ReadData((*rows)[0]).status()));
  const std::string place = path + ": run \"run\", team \"team\", embed at position ";
  EXPECT_EQ((*reader)->ReadTensors().status(),
            absl::DataLossError(place + "1: the row contradicts itself (dtype 1, 8 elements, 12 "
                                        "bytes at 0)"));
  filter.first_position = filter.last_position = 2;
  EXPECT_EQ((*reader)->ReadTensors(filter).status(),
            absl::DataLossError(place + "2: shape \"[8\", expected a list such as [1,151936]"));
}

}  // namespace
}  // namespace parity::store
