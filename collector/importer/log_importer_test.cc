#include "collector/importer/log_importer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "collector/store/test_captures.h"
#include "proto/tensor/values.h"

namespace parity::importer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LogImporterTest : public ::testing::Test {
 protected:
  LogImporterTest() {
    options_.set_run("r");
    options_.set_source_name("x.jsonl");
  }

  // Feeds `text` in pieces of `piece` bytes.
  absl::StatusOr<v1::ImportResponse> Import(absl::string_view text, size_t piece = 1 << 20) {
    auto importer = LogImporter::Create(store_.get(), options_);
    if (!importer.ok()) return importer.status();
    for (size_t at = 0; at < text.size(); at += piece) {
      if (absl::Status s = (*importer)->Feed(text.substr(at, piece)); !s.ok()) return s;
    }
    return (*importer)->Finish();
  }

  std::vector<float> Values(absl::string_view team, int position, absl::string_view checkpoint) {
    auto reader = store_->OpenCapture("r", team);
    if (!reader.ok()) return {};
    auto tensor = (*reader)->ReadTensor(position, checkpoint);
    if (!tensor.ok()) return {};
    shape_ = tensor::ShapeToString(tensor->shape());
    return tensor::Decode(tensor->dtype(), tensor->data());
  }

  const std::unique_ptr<store::CaptureStore> store_ = store::OpenNewStore();
  v1::ImportOptions options_;
  std::string shape_;
};

TEST_F(LogImporterTest, TheLoggersOwnLine) {
  const auto r =
      Import(R"({"ts":1.5,"team":"t","checkpoint":"logits","token_idx":3,"dtype":"float32",)"
             R"("shape":"[1,4]","values":[1,-2.5,3e-2,0],"source":"x"})"
             "\n");
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->lines(), 1);
  EXPECT_EQ(r->tensors(), 1);
  EXPECT_THAT(r->teams(), ElementsAre("t"));
  EXPECT_THAT(Values("t", 3, "logits"), ElementsAre(1, -2.5f, 3e-2f, 0));
  EXPECT_EQ(shape_, "[4]");
}

// What is quoted of a line may be no UTF-8, or end inside a sequence. A message with that in a
// string field does not reach its receiver.
TEST_F(LogImporterTest, DamageIsQuotedInAscii) {
  const auto r = Import(
      "{\"team\":\"t\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[1]}\n"
      "{\"team\":\xff}\n"
      "{\"team\":\"t\"} 15 bytes, then:\u00e9\n");
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_THAT(r->damage(),
              ElementsAre("x.jsonl:2: byte 9: expected '\"', found \"\\xff}\"",
                          "x.jsonl:3: byte 14: expected the end of the line, found \"15 bytes, "
                          "then:\\xc3\""));
}

TEST_F(LogImporterTest, EveryVariantOfALine) {
  const std::string log = absl::StrCat(
      "\xef\xbb\xbf{\"team\":\"t\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[1]}\r\n",
      "\n  \r\n",
      R"({"shape":[1,2,2],"values":[[1,2],[3,4]],"token_idx":1,"checkpoint":"embed","team":"t"})",
      "\n",
      R"({"team":"t","checkpoint":"embed","token_idx":2,"shape":"[8]","values":[ NaN , "NaN",)"
      R"(Infinity,-Infinity,"inf","-inf",null,nan],"extra":{"a":[1,{"b":"}"}]},"ts":null})",
      "\n", R"({"team":"t","checkpoint":"embed","token_idx":3,"shape":"[151936]","values":[5,6]})",
      "\n", R"({"team":"t","checkpoint":"l\u005fout-7","token_idx":4,"token_id":42,"values":[1]})");
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1} << 20}) {
    options_.set_replace(true);
    const auto r = Import(log, piece);
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->damaged(), 0) << r->damage(0);
    EXPECT_EQ(r->tensors(), 5);
    EXPECT_EQ(r->lines(), 7);
    EXPECT_EQ(r->non_finite(), 8);
    EXPECT_EQ(r->bytes(), log.size());
  }
  EXPECT_THAT(Values("t", 1, "embed"), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(shape_, "[2,2]");
  const std::vector<float> odd = Values("t", 2, "embed");
  ASSERT_EQ(odd.size(), 8u);
  const float inf = std::numeric_limits<float>::infinity();
  for (const int i : {0, 1, 6, 7}) EXPECT_TRUE(std::isnan(odd[i])) << i;
  EXPECT_THAT(std::vector<float>(odd.begin() + 2, odd.begin() + 6),
              ElementsAre(inf, -inf, inf, -inf));
  EXPECT_THAT(Values("t", 3, "embed"), ElementsAre(5, 6));
  EXPECT_EQ(shape_, "[151936]");
  EXPECT_THAT(Values("t", 4, "layer.7.out"), ElementsAre(1));
  const auto tokens = *(*store_->OpenCapture("r", "t"))->ReadTokens();
  ASSERT_EQ(tokens.size(), 5u);
  EXPECT_EQ(tokens[0].input_token_id(), -1);
  EXPECT_EQ(tokens[4].input_token_id(), 42);
}

TEST_F(LogImporterTest, TheLastLineOfAKeyWinsAndIsCounted) {
  std::string log;
  for (int run = 1; run <= 3; ++run) {
    log +=
        absl::StrCat(R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[)", run, "]}\n");
  }
  const auto r = Import(log);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->superseded(), 2);
  EXPECT_EQ(r->tensors(), 1);
  EXPECT_THAT(Values("t", 0, "embed"), ElementsAre(3));
}

TEST_F(LogImporterTest, EachTeamIsItsOwnCapture) {
  const std::string log = R"({"team":"a","checkpoint":"embed","token_idx":0,"values":[1]})"
                          "\n"
                          R"({"team":"b","checkpoint":"embed","token_idx":0,"values":[2]})";
  ASSERT_TRUE(Import(log).ok());
  EXPECT_THAT(Values("a", 0, "embed"), ElementsAre(1));
  EXPECT_THAT(Values("b", 0, "embed"), ElementsAre(2));
  EXPECT_EQ(Import(log).status().code(), absl::StatusCode::kAlreadyExists);
  options_.set_team("all");
  const auto r = Import(log);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->superseded(), 1);
  EXPECT_THAT(Values("all", 0, "embed"), ElementsAre(2));
}

// Each line is damaged in one way; the message says how.
struct Damage {
  const char* line;
  const char* message;
};

class DamagedLineTest : public LogImporterTest, public ::testing::WithParamInterface<Damage> {};

TEST_P(DamagedLineTest, IsCountedAndLocated) {
  const std::string good = R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[1]})";
  const std::string log = absl::StrCat(good, "\n", GetParam().line, "\n");
  options_.set_replace(true);
  const auto r = Import(log);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->tensors(), 1);
  EXPECT_EQ(r->damaged(), 1);
  ASSERT_EQ(r->damage_size(), 1);
  EXPECT_THAT(r->damage(0), HasSubstr("x.jsonl:2: "));
  EXPECT_THAT(r->damage(0), HasSubstr(GetParam().message));
  options_.set_strict(true);
  options_.set_run("strict");
  const auto strict = Import(log);
  EXPECT_EQ(strict.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(strict.status().message()), HasSubstr("x.jsonl:2: "));
  EXPECT_EQ(store_->GetRun("strict").status().code(), absl::StatusCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, DamagedLineTest,
    ::testing::Values(
        Damage{"hello", "expected '{'"}, Damage{"{", "expected '\"'"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[1,2)", "expected ','"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[1,]})", "a number"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[1e39]})", "fits"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"values":["x"]})", "a number"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[]})", "no \"values\""},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0})", "no \"values\""},
        Damage{R"({"team":"t","checkpoint":"embed","values":[1]})", "token_idx"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":-4,"values":[1]})", "token_idx"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":1.5,"values":[1]})", "byte"},
        Damage{R"({"team":"t","token_idx":0,"values":[1]})", "no \"checkpoint\""},
        Damage{R"({"team":"t","checkpoint":"a b","token_idx":0,"values":[1]})", "name"},
        Damage{R"({"checkpoint":"embed","token_idx":0,"values":[1]})", "no team"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"shape":"[2]","values":[1,2,3]})",
               "3 elements"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"shape":"[0]","values":[1]})",
               "below 1"},
        Damage{R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[1]} x)", "the end"},
        Damage{R"({"team":"t","checkpoint":"em\xbed","token_idx":0,"values":[1]})", "escape"},
        Damage{R"({"team":"t","values":[[[[[[[[[[1]]]]]]]]]]})", "nested"}));

TEST_F(LogImporterTest, ARecordBehindAHalfWrittenOneIsSaved) {
  const auto r = Import(R"({"team":"t","checkpoint":"embed","token_idx":0,"values":[1,2,)"
                        R"({"team":"t","checkpoint":"embed","token_idx":5,"values":[9]})"
                        "\n");
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->damaged(), 1);
  EXPECT_THAT(Values("t", 5, "embed"), ElementsAre(9));
}

TEST_F(LogImporterTest, NothingUsableIsAnErrorAndStoresNothing) {
  const auto r = Import("rubbish\n");
  EXPECT_EQ(r.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(r.status().message()), HasSubstr("x.jsonl:1"));
  EXPECT_EQ(Import("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->ListRuns(10, "")->size(), 0u);
}

TEST_F(LogImporterTest, NamesOfOtherSchemes) {
  (*options_.mutable_aliases())["my_{i}_thing"] = "layer.{i}.mlp.act";
  std::string log;
  for (const char* name : {"model.layers.3.self_attn.q_proj", "ffn_inp-2", "result_output",
                           "blk.12.ffn_down", "my_4_thing", "strange-1", "layer.9.out"}) {
    log += absl::StrCat(R"({"team":"t","token_idx":0,"values":[1],"checkpoint":")", name, "\"}\n");
  }
  const auto r = Import(log);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_THAT(r->unknown_checkpoints(), ElementsAre("strange-1"));
  std::vector<std::string> names;
  const auto reader = store_->OpenCapture("r", "t");
  for (const auto& info : (*reader)->checkpoints()) names.push_back(info.name);
  EXPECT_THAT(names, ElementsAre("strange-1", "layer.2.attn.residual", "layer.3.attn.q",
                                 "layer.4.mlp.act", "layer.9.out", "layer.12.mlp.down", "logits"));
  (*options_.mutable_aliases())["bad"] = "layer.{i}.out";
  EXPECT_EQ(Import(log).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LogImporterTest, HalvesAreKeptAsHalvesWhenExact) {
  ASSERT_TRUE(
      Import(R"({"team":"t","checkpoint":"embed","token_idx":0,"dtype":"float16",)"
             R"("values":[1.5,-0.0,65504,5.9604645e-08,NaN]})"
             "\n"
             R"({"team":"t","checkpoint":"embed","token_idx":1,"dtype":"F16","values":[0.1]})")
          .ok());
  auto reader = store_->OpenCapture("r", "t");
  EXPECT_EQ((*reader)->ReadTensor(0, "embed")->dtype(), v1::DTYPE_F16);
  EXPECT_EQ((*reader)->ReadTensor(1, "embed")->dtype(), v1::DTYPE_F32);
  EXPECT_EQ(Values("t", 0, "embed")[3], 0x1p-24f);
  EXPECT_EQ(Values("t", 1, "embed")[0], 0.1f);
}

TEST_F(LogImporterTest, AnAbandonedImportLeavesNothing) {
  {
    auto importer = *LogImporter::Create(store_.get(), options_);
    ASSERT_TRUE(
        importer->Feed("{\"team\":\"t\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[1]}\n")
            .ok());
  }
  EXPECT_EQ(store_->OpenCapture("r", "t").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LogImporterTest, ALastLineNeedsNoLineFeed) {
  auto importer = *LogImporter::Create(store_.get(), options_);
  ASSERT_TRUE(
      importer
          ->Feed("bad\n{\"team\":\"t\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[1]}")
          .ok());
  const auto r = importer->Finish();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->tensors(), 1);
  EXPECT_EQ(r->lines(), 2);
  EXPECT_THAT(r->damage(0), HasSubstr(":1: "));
}

TEST_F(LogImporterTest, ACaptureThatCameWhileTheLogWasReadIsNotReplacedUnasked) {
  auto importer = LogImporter::Create(store_.get(), options_);
  ASSERT_TRUE(importer.ok());
  ASSERT_TRUE(
      (*importer)
          ->Feed("{\"team\":\"t\",\"checkpoint\":\"embed\",\"token_idx\":0,\"values\":[1]}\n")
          .ok());
  ASSERT_TRUE(store_->BeginCapture("r", "t", v1::Provenance(), "live").ok());
  const absl::Status refused = (*importer)->Finish().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists) << refused;
  EXPECT_EQ(refused.message(), "run \"r\" already has a capture of team \"t\"");
  importer->reset();
  const auto run = store_->GetRun("r");
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_EQ(run->captures_size(), 1);
  EXPECT_EQ(run->captures(0).status(), v1::CAPTURE_STATUS_OPEN);
}

// Logs of many MiB, in pieces of any size.
class LongLogTest : public LogImporterTest {
 protected:
  // A line of 60 kB and more.
  static std::string Line(absl::string_view team, int position, int first) {
    std::string line = absl::StrCat(R"({"team":")", team, R"(","checkpoint":"embed","token_idx":)",
                                    position, R"(,"values":[)", first);
    for (int i = 0; i < 15000; ++i) line += ",1.5";
    return line + "]}\n";
  }
};

TEST_F(LongLogTest, DamageIsNumberedAndTheLastLineOfAKeyWins) {
  std::string log;
  std::vector<std::string> damage;
  for (int i = 1; i <= 200; ++i) {
    const bool bad = i % 23 == 0;
    log += bad ? "bad\n" : Line(i % 2 == 0 ? "even" : "odd", i % 50, i);
    if (bad) damage.push_back(absl::StrCat("x.jsonl:", i, ": "));
  }
  for (const size_t piece : {size_t{65537}, size_t{3} << 20}) {
    options_.set_replace(true);
    const auto r = Import(log, piece);
    ASSERT_TRUE(r.ok()) << r.status();
    EXPECT_EQ(r->lines(), 200);
    EXPECT_EQ(r->damaged(), 8);
    ASSERT_EQ(static_cast<size_t>(r->damage_size()), damage.size());
    for (size_t i = 0; i < damage.size(); ++i) EXPECT_THAT(r->damage(i), HasSubstr(damage[i]));
    EXPECT_EQ(r->bytes(), static_cast<int64_t>(log.size()));
    EXPECT_EQ(r->tensors(), 50);
    EXPECT_EQ(r->superseded(), 200 - 8 - 50);
    for (int position = 0; position < 50; ++position) {
      // The last good line of the position.
      int last = position == 0 ? 200 : 150 + position;
      while (last % 23 == 0) last -= 50;
      const std::vector<float> values = Values(last % 2 == 0 ? "even" : "odd", position, "embed");
      ASSERT_EQ(values.size(), 15001u) << position;
      EXPECT_EQ(values[0], last);
      EXPECT_EQ(values[15000], 1.5f);
    }
  }
}

TEST_F(LongLogTest, WhenStrictTheFirstDamageIsNamedAndNothingIsStored) {
  std::string log;
  for (int i = 1; i <= 150; ++i) log += i == 97 || i == 140 ? "bad\n" : Line("t", i, i);
  options_.set_strict(true);
  const auto r = Import(log, 100000);
  EXPECT_EQ(r.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(r.status().message()), HasSubstr("x.jsonl:97: "));
  EXPECT_EQ(store_->GetRun("r").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LongLogTest, OnlySoManyTeamsAreTaken) {
  std::string log;
  for (int i = 1; i <= 70; ++i) log += Line(absl::StrCat("team", i), 0, i);
  log += Line("team3", 1, 7);
  const auto r = Import(log);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->teams_size(), 64);
  EXPECT_EQ(r->damaged(), 6);
  EXPECT_THAT(r->damage(0), HasSubstr("x.jsonl:65: more than 64 teams"));
  EXPECT_THAT(r->damage(5), HasSubstr("x.jsonl:70: more than 64 teams"));
  EXPECT_EQ(Values("team3", 1, "embed").size(), 15001u);
}

TEST_F(LongLogTest, ALineMayBeLongerThanABatch) {
  std::string huge = R"({"team":"t","checkpoint":"logits","token_idx":1,"values":[0)";
  for (int i = 1; i < 1000000; ++i) huge += ",2.5";
  const std::string log = absl::StrCat(Line("t", 0, 1), huge, "]}\n", Line("t", 2, 3), "bad");
  const auto r = Import(log, 1 << 20);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->tensors(), 3);
  EXPECT_THAT(r->damage(0), HasSubstr("x.jsonl:4: "));
  EXPECT_EQ(Values("t", 1, "logits").size(), 1000000u);
  EXPECT_EQ(Values("t", 2, "embed")[0], 3);
}

TEST_F(LongLogTest, ALineLongerThanAnyTensorIsSkippedUnread) {
  auto importer = *LogImporter::Create(store_.get(), options_);
  ASSERT_TRUE(importer->Feed(Line("t", 0, 1)).ok());
  const std::string mib(1 << 20, 'x');
  for (int i = 0; i < 130; ++i) ASSERT_TRUE(importer->Feed(mib).ok());
  ASSERT_TRUE(importer->Feed("\n" + Line("t", 1, 2) + "bad\n").ok());
  const auto r = importer->Finish();
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->lines(), 4);
  EXPECT_EQ(r->tensors(), 2);
  ASSERT_EQ(r->damage_size(), 2);
  EXPECT_THAT(r->damage(0), HasSubstr("x.jsonl:2: the line is longer than"));
  EXPECT_THAT(r->damage(1), HasSubstr("x.jsonl:4: "));
}

TEST_F(LongLogTest, AnImportGivenUpHalfWayLeavesNothing) {
  {
    auto importer = *LogImporter::Create(store_.get(), options_);
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(importer->Feed(Line("t", i, i)).ok());
  }
  EXPECT_EQ(store_->OpenCapture("r", "t").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace parity::importer
