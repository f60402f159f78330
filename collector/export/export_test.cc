#include "collector/export/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "collector/importer/log_importer.h"
#include "collector/store/test_captures.h"

namespace parity::exporter {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ExportTest : public ::testing::Test {
 protected:
  ExportTest() {
    request_.mutable_compare()->set_run("r");
    request_.mutable_compare()->set_reference("a");
    request_.mutable_compare()->set_candidate("b");
  }

  void Import(absl::string_view run, absl::string_view log) {
    v1::ImportOptions options;
    options.set_run(std::string(run));
    options.set_strict(true);
    auto importer = *importer::LogImporter::Create(store_.get(), options);
    ASSERT_TRUE(importer->Feed(log).ok());
    const auto finished = importer->Finish();
    ASSERT_TRUE(finished.ok()) << finished.status();
  }

  std::string Text(v1::ExportRequest::Format format) {
    request_.set_format(format);
    std::string text;
    const absl::Status status = Export(*store_, request_, [&](absl::string_view chunk) {
      text.append(chunk.data(), chunk.size());
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return text;
  }

  const std::unique_ptr<store::CaptureStore> store_ = store::OpenNewStore();
  v1::ExportRequest request_;
};

constexpr char kTwoTeams[] =
    R"({"team":"a","checkpoint":"logits","token_idx":0,"shape":"[1,2]","values":[1,2]}
{"team":"a","checkpoint":"logits","token_idx":1,"shape":"[1,2]","values":[4,0]}
{"team":"a","checkpoint":"embed","token_idx":2,"values":[1]}
{"team":"b","checkpoint":"logits","token_idx":0,"shape":"[1,2]","values":[1,2]}
{"team":"b","checkpoint":"logits","token_idx":1,"shape":"[1,2]","values":[4,0.5]}
)";

TEST_F(ExportTest, OlderParityCsv) {
  Import("r", kTwoTeams);
  EXPECT_EQ(Text(v1::ExportRequest::FORMAT_PARITY_CSV),
            "# reference_team: a\n# candidate_team: b\n# reference_entries: 3\n"
            "# candidate_entries: 2\n# compared_entries: 2\n# unmatched_entries: 1\n"
            "# not_comparable_entries: 0\n# checkpoints: *\n"
            "token_idx,max_abs_diff,mean_abs_diff,reference_team,candidate_team\n"
            "0,0.000000e+00,0.000000e+00,a,b\n"
            "1,5.000000e-01,2.500000e-01,a,b\n");
}

TEST_F(ExportTest, WhatHasNoFinitePairIsNoZero) {
  Import("r",
         "{\"team\":\"a\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[1,2]}\n"
         "{\"team\":\"a\",\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[1,3]}\n"
         "{\"team\":\"b\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[NaN,NaN]}\n"
         "{\"team\":\"b\",\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[2,3]}\n");
  EXPECT_THAT(Text(v1::ExportRequest::FORMAT_DIFF_JSONL),
              HasSubstr("\"verdict\":\"INVALID\",\"elements\":2,\"max_abs\":null,"));
  EXPECT_THAT(Text(v1::ExportRequest::FORMAT_DIFF_CSV),
              HasSubstr("0,embed,-1,embed,INVALID,2,NaN,0,NaN,NaN,NaN,NaN,NaN,NaN,NaN,"));
  // The mean of the logits alone: NaN is not averaged in as 0.
  EXPECT_THAT(Text(v1::ExportRequest::FORMAT_PARITY_CSV),
              HasSubstr("\n0,1.000000e+00,5.000000e-01,a,b\n"));
}

TEST_F(ExportTest, DiffJsonl) {
  Import("r", kTwoTeams);
  const std::vector<std::string> lines =
      absl::StrSplit(Text(v1::ExportRequest::FORMAT_DIFF_JSONL), '\n');
  ASSERT_EQ(lines.size(), 4u);  // three rows and the end
  EXPECT_THAT(lines[0], StartsWith("{\"token_idx\":0,\"checkpoint\":\"logits\",\"layer\":-1,"
                                   "\"stage\":\"logits\",\"verdict\":\"MATCH\",\"elements\":2,"
                                   "\"max_abs\":0,"));
  EXPECT_THAT(lines[1], HasSubstr("\"nmse\":0.015625,"));  // 0.25 / 16
  EXPECT_THAT(lines[1], HasSubstr("\"top1_match\":true"));
  EXPECT_EQ(lines[2],
            "{\"token_idx\":2,\"checkpoint\":\"embed\",\"layer\":-1,\"stage\":\"embed\","
            "\"verdict\":\"UNMEASURED\",\"reason\":\"recorded by the reference only\"}");
}

TEST_F(ExportTest, DiffCsvHasAsManyFieldsAsItsHeader) {
  Import("r", kTwoTeams);
  const std::vector<std::string> lines =
      absl::StrSplit(Text(v1::ExportRequest::FORMAT_DIFF_CSV), '\n');
  ASSERT_EQ(lines.size(), 5u);
  const size_t fields = std::vector<std::string>(absl::StrSplit(lines[0], ',')).size();
  for (int i : {1, 3}) {  // rows whose reason has no comma
    EXPECT_EQ(std::vector<std::string>(absl::StrSplit(lines[i], ',')).size(), fields) << lines[i];
  }
  EXPECT_THAT(lines[3], StartsWith("2,embed,-1,embed,UNMEASURED,,,"));
}

TEST_F(ExportTest, ZeroReferenceGivesNullNotAnInvalidNumber) {
  Import("r",
         "{\"team\":\"a\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[0]}\n"
         "{\"team\":\"b\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[1]}\n");
  const std::string text = Text(v1::ExportRequest::FORMAT_DIFF_JSONL);
  EXPECT_THAT(text, HasSubstr("\"nmse\":null"));
  EXPECT_THAT(text, HasSubstr("the reference is all zero"));
}

TEST_F(ExportTest, CaptureLogRoundTripsExactly) {
  std::mt19937 random(3);
  std::string log;
  for (int line = 0; line < 50; ++line) {
    log += absl::StrCat("{\"team\":\"a\",\"checkpoint\":\"layer.", line,
                        ".out\",\"token_idx\":", line % 3, ",\"token_id\":", 100 + line % 3,
                        ",\"shape\":\"[1,7]\",\"values\":[");
    for (int i = 0; i < 6; ++i) {
      uint32_t bits = random();
      if ((bits & 0x7f800000) == 0x7f800000) bits ^= 0x40000000;
      float value;
      std::memcpy(&value, &bits, 4);
      log += absl::StrFormat("%.9g,", value);
    }
    log += line % 2 == 0 ? "-Infinity]}\n" : "NaN]}\n";
  }
  log +=
      R"({"team":"a","checkpoint":"logits","token_idx":0,"dtype":"f16","shape":"[1,1,64]","values":[0.5,-0]})";
  Import("r", log);
  const std::string first = Text(v1::ExportRequest::FORMAT_CAPTURE_JSONL);
  // To many readers -0 is an integer, which has no sign.
  EXPECT_THAT(first, HasSubstr(R"("dtype":"F16","shape":"[1,1,64]","values":[0.5,-0.0]})"));
  const std::string statistics = Text(v1::ExportRequest::FORMAT_CAPTURE_CSV);
  Import("again", first);
  request_.mutable_compare()->set_run("again");
  EXPECT_EQ(Text(v1::ExportRequest::FORMAT_CAPTURE_JSONL), first);
  // The checksums are in it: the stored bytes are the same.
  EXPECT_EQ(Text(v1::ExportRequest::FORMAT_CAPTURE_CSV), statistics);
}

TEST_F(ExportTest, MaxValuesAndGlobsShortenTheLog) {
  Import("r", kTwoTeams);
  request_.set_max_values(1);
  request_.mutable_compare()->add_checkpoints("logits");
  request_.mutable_compare()->set_last_position(0);
  EXPECT_EQ(Text(v1::ExportRequest::FORMAT_CAPTURE_JSONL),
            "{\"team\":\"a\",\"checkpoint\":\"logits\",\"token_idx\":0,\"dtype\":\"F32\","
            "\"shape\":\"[1,2]\",\"values\":[1]}\n");
}

TEST_F(ExportTest, ALongLineComesInPiecesThatAMessageHolds) {
  constexpr int kValues = 300'000;
  std::string line =
      absl::StrCat(R"({"team":"a","checkpoint":"logits","token_idx":0,"dtype":"F32",)",
                   "\"shape\":\"[1,", kValues, "]\",\"values\":[-1.2345678e-30");
  for (int i = 1; i < kValues; ++i) line += ",-1.2345678e-30";
  line += "]}\n";
  ASSERT_GT(line.size(), 4u << 20);
  Import("r", line);
  request_.set_format(v1::ExportRequest::FORMAT_CAPTURE_JSONL);
  std::string text;
  size_t longest = 0;
  ASSERT_TRUE(Export(*store_, request_, [&](absl::string_view piece) {
                longest = std::max(longest, piece.size());
                text.append(piece.data(), piece.size());
                return absl::OkStatus();
              }).ok());
  EXPECT_LE(longest, 1u << 20);
  EXPECT_TRUE(text == line) << text.size() << " bytes, expected " << line.size();
}

TEST_F(ExportTest, RefusesWhatItCannotDo) {
  Import("r", kTwoTeams);
  const ChunkCallback ignore = [](absl::string_view) { return absl::OkStatus(); };
  EXPECT_EQ(Export(*store_, request_, ignore).code(), absl::StatusCode::kInvalidArgument);
  request_.set_format(v1::ExportRequest::FORMAT_CAPTURE_JSONL);
  request_.set_max_values(-1);
  EXPECT_EQ(Export(*store_, request_, ignore).code(), absl::StatusCode::kInvalidArgument);
  request_.set_max_values(0);
  EXPECT_EQ(
      Export(*store_, request_, [](absl::string_view) { return absl::CancelledError(); }).code(),
      absl::StatusCode::kCancelled);
  request_.mutable_compare()->add_checkpoints("logitz");
  EXPECT_EQ(Export(*store_, request_, ignore).message(),
            "team \"a\": none of its 3 tensors is of the checkpoints and positions asked for");
  request_.mutable_compare()->clear_checkpoints();
  request_.mutable_compare()->set_reference("nobody");
  EXPECT_EQ(Export(*store_, request_, ignore).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace parity::exporter
