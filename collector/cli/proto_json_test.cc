#include "collector/cli/proto_json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "parity/v1/collector.pb.h"

namespace parity::cli {
namespace {

TEST(ProtoJsonTest, ScriptsGetNumbersNamesAndNulls) {
  v1::ComparisonSummary summary;
  summary.set_verdict(v1::VERDICT_DIVERGED);
  summary.set_match(int64_t{1} << 53);
  summary.add_identity("a");
  summary.mutable_worst()->set_nmse(std::numeric_limits<double>::infinity());
  const auto json = nlohmann::json::parse(ToJson(summary), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["verdict"], "DIVERGED");
  EXPECT_EQ(json["match"], int64_t{1} << 53);
  EXPECT_EQ(json["identity"][0], "a");
  EXPECT_TRUE(json["worst"]["nmse"].is_null());
  EXPECT_FALSE(json.contains("first_divergence"));
  EXPECT_FALSE(json["worst"].contains("kl_divergence"));
  EXPECT_EQ(json["coverage"], 0.0);
}

TEST(ProtoJsonTest, BytesAndMapsAreText) {
  v1::Capture capture;
  (*capture.mutable_provenance()->mutable_extra())["z"] = "1";
  (*capture.mutable_provenance()->mutable_extra())["a"] = "2";
  EXPECT_NE(ToJson(capture).find(R"("extra":{"a":"2","z":"1"})"), std::string::npos);
  v1::TokenRecord token;
  token.set_chosen_text("\xff!");
  EXPECT_NE(ToJson(token).find("\"chosen_text\":\"\uFFFD!\""), std::string::npos);
}

TEST(ProtoJsonTest, EnumsLoseTheirPrefix) {
  EXPECT_EQ(ShortName(v1::ROW_VERDICT_NOT_COMPARABLE), "NOT_COMPARABLE");
  EXPECT_EQ(ShortName(v1::DTYPE_BF16), "BF16");
  EXPECT_EQ(ShortName(static_cast<v1::Verdict>(77)), "77");
}

}  // namespace
}  // namespace parity::cli
