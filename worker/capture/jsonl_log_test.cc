#include "worker/capture/jsonl_log.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "proto/tensor/values.h"
#include "tests/testing/status_matchers.h"

namespace parity::capture {
namespace {

using parity::testing::StatusIs;
using ::testing::HasSubstr;

v1::Frame FrameOf(int32_t position, const std::vector<float>& values) {
  v1::Frame frame;
  frame.set_position(position);
  v1::Tensor& tensor = *frame.add_tensors();
  tensor.set_checkpoint("logits");
  tensor.set_dtype(v1::DTYPE_F32);
  tensor.add_shape(values.size());
  tensor.set_data(values.data(), values.size() * sizeof(float));
  return frame;
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Line(const std::vector<float>& values, int64_t max_values = 0,
                 absl::string_view team = "t") {
  std::string line;
  AppendJsonLine(FrameOf(3, values).tensors(0), 3, team, absl::UnixEpoch(), max_values, line);
  return line;
}

TEST(JsonlLogTest, ALineHasTheAgreedFieldsInOrder) {
  EXPECT_EQ(Line({1.5f, -0.25f}),
            "{\"ts\":\"1970-01-01T00:00:00.000000Z\",\"team\":\"t\",\"checkpoint\":\"logits\","
            "\"token_idx\":3,\"dtype\":\"F32\",\"shape\":\"[1,2]\",\"values\":[1.5,-0.25],"
            "\"source\":\"parity-worker\"}\n");
}

TEST(JsonlLogTest, FloatsReadBackToTheSameBits) {
  const std::vector<float> values = {0.1f, 1e-45f, 3.4028235e38f, -0.0f, 16777217.0f, 1.0f / 3};
  const auto parsed = nlohmann::json::parse(Line(values));
  for (size_t i = 0; i < values.size(); ++i) {
    const float back = parsed["values"][i].get<float>();
    EXPECT_EQ(std::memcmp(&back, &values[i], sizeof(back)), 0) << values[i];
  }
}

TEST(JsonlLogTest, NonFiniteValuesAreBareWords) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(Line({std::nanf(""), inf, -inf}), HasSubstr("\"values\":[NaN,Infinity,-Infinity]"));
}

TEST(JsonlLogTest, ALimitKeepsTheShape) {
  EXPECT_THAT(Line({1, 2, 3}, 2), HasSubstr("\"shape\":\"[1,3]\",\"values\":[1,2],"));
}

TEST(JsonlLogTest, TeamNamesAreEscaped) {
  const auto parsed = nlohmann::json::parse(Line({1}, 0, "a\"b\\c\n"));
  EXPECT_EQ(parsed["team"], "a\"b\\c\n");
}

TEST(JsonlLogTest, SessionsAppendAndCountTheirLines) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/append.jsonl");
  std::remove(path.c_str());
  const std::atomic<bool> stop{false};
  for (int run = 0; run < 2; ++run) {
    ASSERT_OK_AND_ASSIGN(auto log, JsonlLog::Open({path, "", 0}));
    JsonlSink sink(*log, "team");
    sink.Push(WireFrame::From(FrameOf(0, {1})));
    ASSERT_OK(sink.WaitForRoom(1, stop));
    sink.Push(WireFrame::From(FrameOf(1, {2})));
    const CaptureResult result = sink.Finish("");
    EXPECT_EQ(result.status, v1::CAPTURE_STATUS_COMPLETE);
    EXPECT_EQ(result.counts.captured(), 2);
    EXPECT_EQ(result.counts.acked(), 2);
  }
  const std::vector<std::string> lines = absl::StrSplit(ReadAll(path), '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), 4);
}

TEST(JsonlLogTest, AFileThatCannotBeOpenedIsNamed) {
  EXPECT_THAT(JsonlLog::Open({"/nonexistent/x.jsonl", "", 0}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/x.jsonl")));
}

TEST(JsonlLogTest, AFullDiskIsCountedNotFatal) {
  ASSERT_OK_AND_ASSIGN(auto log, JsonlLog::Open({"/dev/full", "", 0}));
  JsonlSink sink(*log, "team");
  sink.Push(WireFrame::From(FrameOf(0, std::vector<float>(1'000'000, 0.123456f))));
  const CaptureResult result = sink.Finish("");
  EXPECT_EQ(result.status, v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(result.counts.captured(), 1);
  EXPECT_EQ(result.counts.dropped(), 1);
  EXPECT_THAT(result.message, HasSubstr("/dev/full"));
}

TEST(JsonlLogTest, TheEnvironmentNamesFileTeamAndValues) {
  setenv("ORCH_LOG_FILE", "f.jsonl", 1);
  setenv("ORCH_LOG_TEAM", "mine", 1);
  setenv("ORCH_LOG_VALUES", "12", 1);
  ASSERT_OK_AND_ASSIGN(const LogOptions options, LogOptionsFromEnvironment());
  EXPECT_EQ(options.path, "f.jsonl");
  EXPECT_EQ(options.team, "mine");
  EXPECT_EQ(options.values, 12);
  setenv("ORCH_LOG_VALUES", "many", 1);
  EXPECT_THAT(LogOptionsFromEnvironment(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ORCH_LOG_VALUES")));
  unsetenv("ORCH_LOG_FILE");
  unsetenv("ORCH_LOG_TEAM");
  unsetenv("ORCH_LOG_VALUES");
}

}  // namespace
}  // namespace parity::capture
