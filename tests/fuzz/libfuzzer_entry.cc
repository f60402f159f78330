// libFuzzer's door: runs a target, and writes its seeds when asked: FUZZER --write_seeds=FOLDER.
#include <glog/logging.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/testing/gguf_writer.h"

namespace {

void WriteSeeds(const std::string& folder) {
  const std::vector<std::string> seeds = parity::fuzz::Seeds();
  for (size_t i = 0; i < seeds.size(); ++i) {
    const absl::Status written =
        parity::testing::WriteFile(absl::StrCat(folder, "/seed", i), seeds[i]);
    CHECK(written.ok()) << written;
  }
}

}  // namespace

// libFuzzer leaves flags with two dashes alone.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    absl::string_view flag = (*argv)[i];
    if (!absl::ConsumePrefix(&flag, "--write_seeds=")) continue;
    WriteSeeds(std::string(flag));
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  parity::fuzz::RunOne(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
