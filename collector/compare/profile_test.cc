#include "collector/compare/profile.h"

#include <gtest/gtest.h>

namespace parity::compare {
namespace {

v1::Provenance Side(const char* weights, const char* activations, const char* kv,
                    const char* attention) {
  v1::Provenance p;
  p.set_weight_type(weights);
  p.set_activation_precision(activations);
  p.set_kv_type(kv);
  p.set_attention(attention);
  return p;
}

v1::RowVerdict Judge(const Profile& profile, const char* checkpoint, double nmse) {
  RowPlace place;
  place.checkpoint = checkpoint;
  place.single_op = true;
  return VerdictOf(nmse, profile.Limits(place));
}

TEST(ProfileTest, ProvenanceChooses) {
  const v1::Provenance f32 = Side("F32", "f32", "f32", "plain");
  const v1::Provenance half_kv = Side("F32", "f32", "f16", "plain");
  const v1::Provenance flash = Side("F32", "f32", "f32", "flash");
  const v1::Provenance bf16 = Side("BF16", "bf16", "f32", "plain");
  const v1::Provenance q4 = Side("Q4_1", "int8", "f16", "plain");
  auto name = [](const v1::Provenance& a, const v1::Provenance& b) {
    return Profile::Choose("", a, b, 30)->name();
  };
  EXPECT_EQ(name(f32, f32), "f32");
  EXPECT_EQ(name(f32, half_kv), "f16");
  EXPECT_EQ(name(flash, f32), "f16");
  EXPECT_EQ(name(bf16, half_kv), "bf16");
  EXPECT_EQ(name(f32, q4), "quantised");
  // Quantised weights computed in float are as exact as any float.
  EXPECT_EQ(name(Side("Q4_1", "f32", "f32", "plain"), f32), "f32");
  EXPECT_EQ(Profile::Choose("f16", f32, q4, 30)->name(), "f16");
  EXPECT_FALSE(Profile::Choose("tight", f32, q4, 30).ok());
}

TEST(ProfileTest, UnknownNumericsAreTheWidestAndSaidSo) {
  const Profile profile =
      *Profile::Choose("", v1::Provenance(), Side("F32", "f32", "f32", "plain"), 2);
  EXPECT_EQ(profile.name(), "quantised");
  EXPECT_EQ(profile.notes().size(), 1u);
}

// The measurements of facts/parity.md must come out as what they are.
TEST(ProfileTest, WhatTwoBuildsOfLlamaCppShowIsAMatch) {
  const v1::Provenance q4 = Side("Q4_1", "int8", "f16", "plain");
  const Profile profile = *Profile::Choose("", q4, q4, 30);
  EXPECT_EQ(Judge(profile, "layer.0.out", 3e-5), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(profile, "layer.15.out", 9e-4), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(profile, "layer.29.out", 7.5e-3), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(profile, "logits", 4.6e-2), v1::ROW_VERDICT_MATCH);
  // A bug at the front of the model stands out although it hides in the plateau at the end.
  EXPECT_EQ(Judge(profile, "layer.0.out", 3.9e-3), v1::ROW_VERDICT_DIVERGED);
  EXPECT_EQ(Judge(profile, "logits", 1.0), v1::ROW_VERDICT_DIVERGED);
  for (int layer = 1; layer < 30; ++layer) {
    RowPlace below, above;
    const std::string low = "layer." + std::to_string(layer - 1) + ".out";
    const std::string high = "layer." + std::to_string(layer) + ".out";
    below.checkpoint = low;
    above.checkpoint = high;
    EXPECT_LT(profile.Limits(below).floor_nmse, profile.Limits(above).floor_nmse) << layer;
  }
}

TEST(ProfileTest, ShadowLimitsLocateOneFlippedRounding) {
  v1::Provenance q4 = Side("Q4_1", "int8", "f16", "plain");
  v1::Provenance shadow = q4;
  shadow.set_kind(v1::CAPTURE_KIND_SHADOW);
  const Profile profile = *Profile::Choose("", q4, shadow, 30);
  EXPECT_EQ(profile.name(), "shadow");
  EXPECT_EQ(Judge(profile, "layer.3.mlp.down", 7e-13), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(profile, "layer.3.mlp.down", 6e-7), v1::ROW_VERDICT_DIVERGED);
  // One probability rounded to the other half: 2^-20 at most.
  EXPECT_EQ(Judge(profile, "layer.3.attn.context", 0x1p-20), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(profile, "layer.3.attn.context", 1e-5), v1::ROW_VERDICT_DRIFT);
  EXPECT_EQ(Judge(profile, "layer.3.attn.context", 2e-4), v1::ROW_VERDICT_DIVERGED);
  EXPECT_EQ(Judge(profile, "layer.3.attn.out", 2e-4), v1::ROW_VERDICT_DIVERGED);
}

TEST(ProfileTest, ShadowWithoutHalvesAllowsNoFlip) {
  const v1::Provenance f32 = Side("Q4_1", "int8", "f32", "plain");
  v1::Provenance shadow = f32;
  shadow.set_kind(v1::CAPTURE_KIND_SHADOW);
  const Profile profile = *Profile::Choose("", f32, shadow, 30);
  EXPECT_EQ(Judge(profile, "layer.3.attn.context", 1e-10), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(profile, "layer.3.attn.context", 0x1p-20), v1::ROW_VERDICT_DIVERGED);
}

// Worst tokens of llama.cpp against itself, SmolLM2 (the table in profile.cc).
TEST(ProfileTest, LlamaCppAgainstItselfNeverDiverges) {
  const v1::Provenance half = Side("Q4_1", "int8", "f16", "plain");
  const Profile batch = *Profile::Choose("", half, half, 30);
  EXPECT_EQ(Judge(batch, "layer.18.attn.out", 1.1e-2), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(batch, "layer.4.attn.out", 1.7e-2), v1::ROW_VERDICT_DRIFT);
  EXPECT_EQ(Judge(batch, "layer.17.mlp.down", 9.2e-3), v1::ROW_VERDICT_MATCH);
  EXPECT_EQ(Judge(batch, "layer.2.mlp.down", 1.4e-1), v1::ROW_VERDICT_DIVERGED);
  const Profile kv = *Profile::Choose("", half, Side("Q4_1", "int8", "f32", "plain"), 30);
  EXPECT_EQ(Judge(kv, "layer.2.mlp.down", 1.4e-1), v1::ROW_VERDICT_DRIFT);
  EXPECT_EQ(Judge(kv, "layer.3.out", 2.7e-3), v1::ROW_VERDICT_DRIFT);
  // An unrelated vector, at any depth and stage.
  for (const char* stage : {"attn.v", "attn.context", "mlp.act", "mlp.down", "out"}) {
    for (const int layer : {0, 1, 15, 29}) {
      const std::string name = "layer." + std::to_string(layer) + "." + stage;
      EXPECT_EQ(Judge(kv, name.c_str(), 2.0), v1::ROW_VERDICT_DIVERGED) << name;
    }
  }
}

TEST(ProfileTest, ShadowOfAnotherPrecisionAllowsItsRounding) {
  v1::Provenance shadow = Side("Q4_1", "f32", "f32", "plain");
  shadow.set_kind(v1::CAPTURE_KIND_SHADOW);
  const Profile profile = *Profile::Choose("", Side("Q4_1", "int8", "f16", "plain"), shadow, 30);
  EXPECT_EQ(Judge(profile, "layer.3.attn.q", 3e-5), v1::ROW_VERDICT_MATCH);  // int8 per 32 values
  EXPECT_EQ(Judge(profile, "layer.3.mlp.norm", 3e-5), v1::ROW_VERDICT_DIVERGED);
}

TEST(ProfileTest, StorageTypeWidensTheFloor) {
  const v1::Provenance f32 = Side("F32", "f32", "f32", "plain");
  const Profile profile = *Profile::Choose("", f32, f32, 2);
  RowPlace place;
  place.checkpoint = "embed";
  place.candidate_dtype = v1::DTYPE_F16;
  EXPECT_EQ(VerdictOf(4e-8, profile.Limits(place)), v1::ROW_VERDICT_MATCH);
  place.candidate_dtype = v1::DTYPE_F32;
  EXPECT_NE(VerdictOf(4e-8, profile.Limits(place)), v1::ROW_VERDICT_MATCH);
}

}  // namespace
}  // namespace parity::compare
