#include "collector/store/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace parity::store {
namespace {

constexpr int kMostLinks = 40;  // as Linux follows

absl::Status SystemError(const std::string& path, int error) {
  const std::string message = absl::StrCat(path, ": cannot be created (", std::strerror(error),
                                           "); a database is written beside its lock file");
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::PermissionDeniedError(message);
}

std::string HolderOf(int fd) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  int pid = 0;
  if (size <= 0 || !absl::SimpleAtoi(absl::StripSuffix(text, "\n"), &pid)) return "another process";
  return absl::StrCat("process ", pid);
}

// Whether `path` still names the file behind `fd`: its holder removes it when done.
bool StillNamed(const std::string& path, int fd) {
  struct stat named, held;
  return stat(path.c_str(), &named) == 0 && fstat(fd, &held) == 0 && named.st_ino == held.st_ino &&
         named.st_dev == held.st_dev;
}

// The file that a link leads to, which need not be there yet. The lock is beside it, as SQLite's
// own files are: one database has one lock. (collector/cli/export_command.cc follows links
// likewise: no room below both knows of files.)
std::string FileOf(const std::string& database_path) {
  std::error_code error;
  std::filesystem::path file = database_path;
  for (int links = 0; links < kMostLinks && std::filesystem::is_symlink(file, error); ++links) {
    file = file.parent_path() / std::filesystem::read_symlink(file, error);
  }
  return file.string();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreLock>> StoreLock::Acquire(const std::string& database_path) {
  const std::string file = FileOf(database_path);
  const std::string path = absl::StrCat(file, ".lock");
  while (true) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return SystemError(path, errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const std::string holder = HolderOf(fd);
      close(fd);
      return absl::UnavailableError(absl::StrCat(database_path, ": in use by ", holder));
    }
    if (!StillNamed(path, fd)) {
      close(fd);
      continue;
    }
    const std::string pid = absl::StrCat(getpid(), "\n");
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
      const int error = errno;
      close(fd);
      return SystemError(path, error);
    }
    return std::unique_ptr<StoreLock>(new StoreLock(file, path, fd));
  }
}

StoreLock::~StoreLock() {
  unlink(
      path_.c_str());  // while the lock is held: whoever opened it meanwhile sees that it is gone
  close(fd_);
}

}  // namespace parity::store
