#include "collector/store/provenance_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/testing/status_matchers.h"

namespace parity::store {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::StatusIs;

v1::Provenance Whole() {
  v1::Provenance p;
  p.set_engine("cpu");
  p.set_engine_version("1");
  p.set_model_sha256("ab");
  p.set_kv_type("f16");
  p.set_activation_precision("int8");
  p.set_attention("plain");
  p.set_numerics("native");
  p.set_threads(2);
  p.set_kind(v1::CAPTURE_KIND_SHADOW);
  p.set_shadow_of("r/t");
  (*p.mutable_extra())["cpu \"flags\""] = "a\nb";
  return p;
}

TEST(ProvenanceJsonTest, ComesBackAsItWasUnderTheFieldsOwnNames) {
  ASSERT_OK_AND_ASSIGN(const std::string json, ToJson(Whole()));
  EXPECT_THAT(json, HasSubstr("\"engine_version\":\"1\""));
  ASSERT_OK_AND_ASSIGN(const v1::Provenance back, ProvenanceFromJson(json));
  EXPECT_EQ(back.SerializeAsString(), Whole().SerializeAsString());
}

TEST(ProvenanceJsonTest, FieldsOfALaterVersionAreIgnored) {
  ASSERT_OK_AND_ASSIGN(const v1::Provenance p,
                       ProvenanceFromJson(R"({"engine":"x","from_the_future":{"a":[1]}})"));
  EXPECT_EQ(p.engine(), "x");
}

// A row of a database is untrusted.
TEST(ProvenanceJsonTest, WhatIsNoProvenanceIsDataLoss) {
  for (const std::string& json :
       {std::string(), std::string("{"), std::string("[]"), std::string("{\"threads\":\"many\"}"),
        std::string("{\"engine\":\"\xff\"}"), std::string(100'000, '['),
        "{\"later\":" + std::string(100'000, '[') + "}"}) {
    EXPECT_THAT(ProvenanceFromJson(json),
                StatusIs(absl::StatusCode::kDataLoss, StartsWith("no provenance as JSON: ")))
        << json.substr(0, 30);
  }
}

TEST(ProvenanceJsonTest, BytesThatAreNotUtf8AreLeftOut) {
  v1::Provenance p;
  p.set_engine("a\xffz");
  ASSERT_OK_AND_ASSIGN(const std::string json, ToJson(p));
  EXPECT_EQ(json, R"({"engine":"az"})");
}

TEST(ProvenanceJsonTest, HalvesOfACaptureDifferInNothingThatMatters) {
  EXPECT_OK(CheckSameProvenance(Whole(), Whole()));
  v1::Provenance other = Whole();
  other.set_host("elsewhere");
  other.set_threads(8);
  EXPECT_OK(CheckSameProvenance(Whole(), other));
  struct Change {
    const char* field;
    std::function<void(v1::Provenance&)> make;
  };
  for (const Change& change : {
           Change{"engine", [](v1::Provenance& p) { p.set_engine("z"); }},
           Change{"engine_version", [](v1::Provenance& p) { p.set_engine_version("z"); }},
           Change{"model_sha256", [](v1::Provenance& p) { p.set_model_sha256("z"); }},
           Change{"numerics", [](v1::Provenance& p) { p.set_numerics("z"); }},
           Change{"kv_type", [](v1::Provenance& p) { p.set_kv_type("z"); }},
           Change{"attention", [](v1::Provenance& p) { p.set_attention("z"); }},
           Change{"activation_precision",
                  [](v1::Provenance& p) { p.set_activation_precision("z"); }},
           Change{"kind", [](v1::Provenance& p) { p.set_kind(v1::CAPTURE_KIND_FREE); }},
           Change{"shadow_of", [](v1::Provenance& p) { p.set_shadow_of("z"); }},
       }) {
    other = Whole();
    change.make(other);
    EXPECT_THAT(
        CheckSameProvenance(Whole(), other),
        StatusIs(absl::StatusCode::kFailedPrecondition,
                 HasSubstr(std::string("the unsealed capture has ") + change.field + " \"")));
  }
}

}  // namespace
}  // namespace parity::store
