#include "collector/cli/generate_request.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace parity::cli {
namespace {

absl::StatusOr<v1::GenerateRequest> Parse(const std::string& line) {
  CLI::App app;
  GenerateFlags flags;
  AddGenerateFlags(app, &flags);
  app.parse(line);
  return MakeGenerateRequest(flags);
}

TEST(GenerateRequestTest, FlagsReachTheRequest) {
  const auto request = Parse(
      "--tokens 1,2 --force 3,4 --max-tokens 5 --temperature 0.5 --top-k 40 --top-p 0.9 "
      "--min-p 0.05 --seed 7 --stop a --stop b --ignore-eos --prefill-step 8 --run r --team t "
      "--note n --capture full --capture-values 16");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->token_ids(1), 2);
  EXPECT_EQ(request->forced_token_ids(0), 3);
  EXPECT_EQ(request->max_tokens(), 5);
  EXPECT_FLOAT_EQ(request->temperature(), 0.5f);
  EXPECT_EQ(request->top_k(), 40);
  EXPECT_FLOAT_EQ(request->top_p(), 0.9f);
  EXPECT_FLOAT_EQ(request->min_p(), 0.05f);
  EXPECT_EQ(request->seed(), 7);
  EXPECT_EQ(request->stop_size(), 2);
  EXPECT_TRUE(request->ignore_eos());
  EXPECT_EQ(request->prefill_tokens_per_step(), 8);
  EXPECT_EQ(request->run() + request->team() + request->note(), "rtn");
  EXPECT_EQ(request->capture().level(), "full");
  EXPECT_EQ(request->capture().max_elements(), 16);
}

TEST(GenerateRequestTest, WhatIsNoLevelIsGlobs) {
  const auto request = Parse("--prompt hello --capture ' logits, layer.*.out'");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->capture().level(), "");
  ASSERT_EQ(request->capture().globs_size(), 2);
  EXPECT_EQ(request->capture().globs(1), "layer.*.out");
  EXPECT_FALSE(Parse("--prompt hello")->has_capture());
}

TEST(GenerateRequestTest, OneSourceOfTokens) {
  EXPECT_FALSE(Parse("").ok());
  EXPECT_FALSE(Parse("--prompt a --tokens 1").ok());
  EXPECT_FALSE(Parse("--shadow r/t --follow r/t").ok());
  EXPECT_TRUE(Parse("--shadow r/t --tokens 1").ok());
  EXPECT_FALSE(Parse("--tokens 1,x").ok());
  EXPECT_EQ(Parse("--shadow r/t")->shadow(), "r/t");
  EXPECT_EQ(Parse("--follow r/t")->follow(), "r/t");
}

}  // namespace
}  // namespace parity::cli
