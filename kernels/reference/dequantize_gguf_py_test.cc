// Against the gguf package's own dequantisation (NumPy), a second oracle that shares no code with
// libggml.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/reference/dequantize.h"

namespace parity::kernels {
namespace {

// argv: the type's id, a file of rows, their bytes, the file of floats to write.
constexpr char kScript[] = R"(
import sys, numpy, gguf
kind = gguf.GGMLQuantizationType(int(sys.argv[1]))
rows = numpy.fromfile(sys.argv[2], numpy.uint8).reshape(-1, int(sys.argv[3]))
if kind == gguf.GGMLQuantizationType.F32: values = rows.view(numpy.float32)
elif kind == gguf.GGMLQuantizationType.F16: values = rows.view(numpy.float16)
else: values = gguf.quants.dequantize(rows, kind)
values.astype(numpy.float32).tofile(sys.argv[4])
)";

std::string Cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr) return cache;
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.cache";
}

// Runs a program; its exit status.
int Exit(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}

class DequantizeGgufPyTest : public testing::TestWithParam<DType> {};

TEST_P(DequantizeGgufPyTest, EveryBitIsGgufPys) {
  const std::string python = Cache() + "/parity/oracle/bin/python";
  if (!std::filesystem::exists(python)) GTEST_SKIP() << "no " << python << ": deploy/fetch oracle";
  const int64_t rows = 16, cols = 512;
  std::vector<uint8_t> bytes(rows * RowBytes(GetParam(), cols));
  std::mt19937 random(5);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  const std::string folder = testing::TempDir() + "/gguf_py_" + Traits(GetParam()).name;
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/rows", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ASSERT_EQ(
      Exit({python, "-c", kScript, std::to_string(static_cast<uint32_t>(GetParam())),
            folder + "/rows", std::to_string(RowBytes(GetParam(), cols)), folder + "/floats"}),
      0);
  std::vector<float> theirs(rows * cols);
  std::ifstream(folder + "/floats", std::ios::binary)
      .read(reinterpret_cast<char*>(theirs.data()), theirs.size() * sizeof(float));
  std::vector<float> ours(rows * cols);
  Dequantize(GetParam(), bytes.data(), rows * cols, ours.data());
  // A zero's sign apart: MXFP4 has two.
  for (int64_t i = 0; i < rows * cols; ++i) {
    if (std::isnan(theirs[i])) {
      ASSERT_TRUE(std::isnan(ours[i])) << i;
    } else {
      ASSERT_EQ(ours[i], theirs[i]) << i;
    }
  }
  std::filesystem::remove_all(folder);
}

std::vector<DType> Everything() {
  std::vector<DType> types;
  for (const DTypeTraits& traits : AllDTypes()) types.push_back(traits.dtype);
  return types;
}

INSTANTIATE_TEST_SUITE_P(AllTypes, DequantizeGgufPyTest, testing::ValuesIn(Everything()),
                         [](const auto& info) { return std::string(Traits(info.param).name); });

}  // namespace
}  // namespace parity::kernels
