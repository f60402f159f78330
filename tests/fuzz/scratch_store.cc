#include "tests/fuzz/scratch_store.h"

#include <glog/logging.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>

namespace parity::fuzz {

namespace {

// TMPDIR; without one, memory where there is such a folder: a disk would be waited for at each
// input.
std::filesystem::path Place() {
  constexpr char kMemory[] = "/dev/shm";
  if (std::getenv("TMPDIR") == nullptr && access(kMemory, W_OK) == 0) return kMemory;
  return std::filesystem::temp_directory_path();
}

class Scratch {
 public:
  Scratch() {
    std::string folder = Place() / "parity_fuzz.XXXXXX";
    CHECK(mkdtemp(folder.data()) != nullptr) << folder;
    folder_ = folder;
    store::StoreOptions options;
    options.min_free_bytes = 0;
    options.commit_delay = absl::ZeroDuration();
    options.commit_quiet = absl::ZeroDuration();
    auto opened =
        store::CaptureStore::Open(folder_ + "/fuzz.db", store::OpenMode::kReadWrite, options);
    CHECK(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  ~Scratch() {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  store::CaptureStore& store() { return *store_; }

 private:
  std::string folder_;
  std::unique_ptr<store::CaptureStore> store_;
};

}  // namespace

store::CaptureStore& ScratchStore() {
  static Scratch scratch;
  return scratch.store();
}

void EmptyScratchStore() {
  const auto runs = ScratchStore().ListRuns(std::numeric_limits<int>::max(), "");
  CHECK(runs.ok()) << runs.status();
  for (const v1::Run& run : *runs) {
    const auto deleted = ScratchStore().Delete(run.name(), "");
    CHECK(deleted.ok()) << deleted.status();
  }
}

}  // namespace parity::fuzz
