#include "worker/llama/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "llama_build.h"
#include "tests/testing/status_matchers.h"
#include "worker/llama/library_file.h"

namespace parity::llama {
namespace {

using parity::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A library of BUILD.bazel's FAKES, made beside this test.
std::string Fake(const std::string& name) {
  return std::filesystem::current_path() / "worker/llama" / (name + ".so");
}

std::string EmptyFolder(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "/" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(LibraryPlacesTest, AChoiceIsTheOnlyPlace) {
  const std::string folder = EmptyFolder("places");
  EXPECT_THAT(LibraryPlaces("/nowhere/libllama.so.1"), ElementsAre("/nowhere/libllama.so.1"));
  EXPECT_THAT(LibraryPlaces("libllama.so.1"), ElementsAre("./libllama.so.1"));
  EXPECT_THAT(LibraryPlaces(folder),
              ElementsAre(folder + "/lib/libllama.so", folder + "/libllama.so"));
}

TEST(LibraryPlacesTest, TheBuildsThenTheUsersThenTheLoaders) {
  const std::string built = PARITY_LLAMA_FOLDER "/libllama.so";
  setenv("HOME", "/someones", 1);
  unsetenv("XDG_CACHE_HOME");
  EXPECT_THAT(LibraryPlaces(""), ElementsAre(built, "/someones/.cache/parity/llama/lib/libllama.so",
                                             "libllama.so", "libllama.so.0"));
  setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_THAT(LibraryPlaces(""), ElementsAre(built, "/caches/parity/llama/lib/libllama.so",
                                             "libllama.so", "libllama.so.0"));
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_THAT(LibraryPlaces(""), ElementsAre(built, "libllama.so", "libllama.so.0"));
}

TEST(LibraryTest, ThereIsNone) {
  EXPECT_THAT(StartLibrary("/nowhere"),
              StatusIs(absl::StatusCode::kNotFound,
                       "no libllama: looked for /nowhere; run deploy/fetch llama, or name its "
                       "folder with --llama-library"));
  const std::string folder = EmptyFolder("none");
  EXPECT_THAT(StartLibrary(folder),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr(folder + "/lib/libllama.so, " + folder + "/libllama.so")));
}

TEST(LibraryTest, WhatIsNoLibraryIsRefusedInTheLoadersWords) {
  const std::string file = EmptyFolder("text") + "/libllama.so";
  std::ofstream(file) << "no ELF header at all, and longer than one would be\n"
                      << std::string(99, ' ');
  EXPECT_THAT(StartLibrary(file), StatusIs(absl::StatusCode::kFailedPrecondition,
                                           file + " does not open: invalid ELF header"));
}

TEST(LibraryTest, AnotherVersionIsRefusedByName) {
  const std::string file = Fake("another_version");
  EXPECT_THAT(StartLibrary(file),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(StartsWith(file + ": found llama.cpp 0.4.9 with ggml "),
                             HasSubstr("expected " PARITY_LLAMA_VERSION " with ggml "))));
}

TEST(LibraryTest, AMissingFunctionIsNamed) {
  const std::string file = Fake("few_functions");
  EXPECT_THAT(StartLibrary(file), StatusIs(absl::StatusCode::kFailedPrecondition,
                                           StartsWith(file + ": has no ggml_backend_tensor_get")));
}

TEST(LibraryTest, AnotherLayoutOfTheSameVersionIsRefused) {
  const std::string file = Fake("another_layout");
  EXPECT_THAT(StartLibrary(file),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       StartsWith(file + ": its llama_context_params has another layout than this "
                                         "program was built for (n_seq_max)")));
}

// After all that was refused, and for good.
TEST(LibraryTest, OneLibraryIsOpenedOnce) {
  const std::string folder = PARITY_LLAMA_FOLDER;
  ASSERT_OK(StartLibrary(folder));
  const Functions* const opened = &Library();
  EXPECT_STREQ(opened->llama_version(), PARITY_LLAMA_VERSION);
  EXPECT_OK(StartLibrary(""));
  EXPECT_OK(StartLibrary(folder + "/.."));
  EXPECT_OK(StartLibrary(folder + "/libllama.so"));
  EXPECT_EQ(&Library(), opened);
  EXPECT_THAT(StartLibrary(Fake("another_version")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("has opened "), HasSubstr("another_version.so"))));
}

}  // namespace
}  // namespace parity::llama
