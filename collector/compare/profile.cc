#include "collector/compare/profile.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/checkpoint/name.h"

namespace parity::compare {
namespace {

using checkpoint::Stage;

// --- End to end: NMSE between correct engines (facts/parity.md, "Noise floors") ---

// Row 1: F32 weights, F32 KV, attention plain: logits 4e-13, two layers deep. The multiples leave
// room for depth (error adds up over layers: 30 layers, 15x) and stay 1e4 below one half-precision
// rounding (4e-8).
constexpr RowLimits kF32 = {4e-13, 100, 1e4};
// Flash attention or F16 weights on one side: logits 1.4e-7. A flipped half rounding is 4e-8;
// limits as wide as llama.cpp's own for a matrix product (5e-4) are DRIFT, not MATCH.
constexpr RowLimits kF16 = {1.4e-7, 100, 4e3};
// One bfloat16 rounding: 3e-6; the ratio to the F16 row's single rounding carried over.
constexpr RowLimits kBf16 = {1e-5, 100, 4e3};
// Real quantised models, worst token over SmolLM2 Q4_1 and Gemma 3 Q4_K_M and all four causes:
// middle layer 9e-4, last layer 7.5e-3, logits 4.6e-2. Twice the worst seen in 59 tokens is MATCH.
// An unrelated vector has NMSE 2, so the room above is small: ten times is DIVERGED.
constexpr double kMatchPlateau = 2;
constexpr double kDriftPlateau = 10;
constexpr double kMiddleLayer = 9e-4;
constexpr double kLastLayer = 7.5e-3;
constexpr double kLogits = 4.6e-2;
// Layer 0, worst token, by what differs: nothing but the SIMD path or the batch 3e-5; F16 against
// F32 KV 3e-4; flash attention 1e-3 (both Gemma 3). Float against int8 activations: 1.9e-4 at the
// logits of a tiny Q4_K_M model.
constexpr double kFirstLayerSame = 3e-5;
constexpr double kFirstLayerKv = 3e-4;
constexpr double kFirstLayerActivations = 3e-4;
constexpr double kFirstLayerFlash = 1e-3;

// Inside a layer the vectors are shorter than the residual stream that carries the noise, so their
// NMSE is larger. Worst 1 % / worst token of SmolLM2 Q4_1 against llama.cpp's own one batch with
// F16 KV; 64 random tokens, 63 of English, 88 of code (`parity-worker run --engine llama --capture
// full` again with --step-tokens 1 or --kv f32, then --engine cpu, and `parity export --format
// jsonl`):
//
//   layers 10-19    token by token    F32 KV            cpu native        cpu f32
//   attn.q          5.1e-4 6.9e-4     7.6e-4 1.2e-3     6.5e-4 9.0e-4     1.6e-3 4.1e-3
//   attn.v          2.9e-3 5.5e-3     4.0e-3 5.8e-3     3.6e-3 8.6e-3     5.1e-3 8.8e-3
//   attn.context    4.3e-3 1.2e-2     5.4e-3 1.7e-2     5.4e-3 1.2e-2     6.4e-3 1.6e-2
//   attn.out        4.5e-3 1.1e-2     5.9e-3 2.2e-2     6.1e-3 1.2e-2     7.3e-3 2.5e-2
//   attn.residual   8.2e-4 1.5e-3     1.1e-3 1.6e-3     1.0e-3 1.5e-3     1.4e-3 4.0e-3
//   mlp.norm        1.2e-3 1.9e-3     1.9e-3 2.7e-3     1.5e-3 2.1e-3     3.0e-3 7.0e-3
//   mlp.up          1.5e-3 2.3e-3     2.6e-3 4.0e-3     2.0e-3 3.1e-3     4.1e-3 9.5e-3
//   mlp.act         3.5e-3 5.8e-3     4.8e-3 8.1e-3     4.4e-3 7.7e-3     6.5e-3 2.1e-2
//   mlp.down        3.7e-3 6.3e-3     5.1e-3 6.9e-3     4.8e-3 9.5e-3     6.5e-3 4.1e-2
//   layer.out       9.2e-4 1.6e-3     1.2e-3 1.7e-3     1.1e-3 1.7e-3     1.4e-3 3.3e-3
//   worst of any layer from 1 on:
//   mlp.act         7.2e-3            4.8e-2            7.7e-3            1.3e-1
//   mlp.down        9.2e-3            1.4e-1            1.4e-2            3.5e-1
//   attn.v/context/out 1.7e-2         2.2e-2            1.7e-2            2.5e-2
//   the others      3.8e-3            5.3e-3            5.0e-3            1.2e-2
//
// The factors are the ratios to layer.out in the worst 1 %. They start at layer 1: layer 0 reads
// the same embedding on both sides. The ceilings are twice the worst, below them nothing is
// DIVERGED: one token's massive activation of an early layer (the 3.5e-1) is legitimate.
struct Inside {
  double factor, ceiling, ceiling_other_precision;
};
constexpr Inside kStream = {1, 1e-2, 2.5e-2};
constexpr Inside kMlpIn = {2, 1e-2, 2.5e-2};
constexpr Inside kValues = {4, 3.5e-2, 5e-2};
constexpr Inside kAttention = {5, 3.5e-2, 5e-2};
constexpr Inside kMlpOut = {4, 3e-2, 7e-1};

// --- Shadow: one op from the other side's inputs ---

// A float64 NumPy op on llama.cpp's recorded input against its recorded output: worst 7e-13
// (attn.out, 30 layers). MATCH up to 1e-10; one flipped int8 activation of mlp.down is 6e-7 and has
// to be DIVERGED.
constexpr double kOp = 1e-12;
constexpr double kMatchOp = 100;
constexpr double kDriftOp = 1e4;
// With an F16 cache every attention probability p is rounded to half, and llama.cpp sums the scores
// in one order for prefill and in another for decoding, so a p near the middle between two halves
// goes up in one engine and down in the other (tests/parity/flip_bound.h has the bound of every
// element). Halves are at most 2^-10 p apart: where one position holds nearly all the weight the
// context moves by 2^-10 of itself, NMSE 2^-20 = 9.5e-7, and less where the weight is spread. MATCH
// is one such flip (100 x = 1e-6; worst seen over SmolLM2, three prompts: 4.1e-7). Ten flips that
// all add up are 10^2 times that, 1e-4, the limit of DRIFT (1e4 x).
constexpr double kHalfAttention = 1e-8;
// One rounding on one side only: fp16 4e-8, bf16 3e-6, int8 3e-5 per 32 values and 5e-5 per 256.
// Divided by kMatchOp / 10, so that ten times the single rounding is the limit of MATCH.
constexpr double kOneSidedF16 = 4e-9;
constexpr double kOneSidedBf16 = 3e-7;
constexpr double kOneSidedInt8 = 5e-6;
constexpr double kOneSidedFlash = 1.4e-8;
// A stretch of several int8 products inside a layer: layer 0 out of two SIMD builds, worst token
// 2e-5 (= kMatchOp x).
constexpr double kInt8Stretch = 2e-7;

// --- Storage: what a payload's own element type loses, whatever computed it ---
constexpr double kStoredF16 = 4e-8;
constexpr double kStoredBf16 = 3e-6;

constexpr const char* kNames[] = {"f32", "f16", "bf16", "quantised"};

bool IsQuantised(absl::string_view weight_type) {
  const std::string type = absl::AsciiStrToLower(weight_type);
  return absl::StartsWith(type, "q") || absl::StartsWith(type, "iq") ||
         absl::StartsWith(type, "tq") || absl::StartsWith(type, "mxfp");
}

// How coarsely one side rounds; absent when its provenance does not say.
std::optional<Rounding> RoundingOf(const v1::Provenance& side) {
  const std::string activations = absl::AsciiStrToLower(side.activation_precision());
  const std::string kv = absl::AsciiStrToLower(side.kv_type());
  Rounding rounding = Rounding::kF32;
  if (activations.empty() && side.weight_type().empty()) return std::nullopt;
  if (activations == "int8" || (activations.empty() && IsQuantised(side.weight_type()))) {
    return Rounding::kQuantised;
  }
  if (activations == "bf16" || (activations.empty() && side.weight_type() == "BF16")) {
    return Rounding::kBf16;
  }
  if (activations == "f16" || (activations.empty() && side.weight_type() == "F16") ||
      (kv != "f32" && side.numerics() != "f32") || side.attention() == "flash") {
    rounding = Rounding::kF16;
  }
  return rounding;
}

// "a" and "b" differ and both are known.
bool Differ(absl::string_view a, absl::string_view b) {
  return !a.empty() && !b.empty() && !absl::EqualsIgnoreCase(a, b);
}

const Inside& InsideOf(absl::string_view checkpoint) {
  const std::optional<checkpoint::Name> name = checkpoint::Parse(checkpoint);
  if (!name) return kStream;
  switch (name->stage) {
    case Stage::kAttnV:
      return kValues;
    case Stage::kAttnContext:
    case Stage::kAttnOut:
      return kAttention;
    case Stage::kMlpNorm:
    case Stage::kMlpGate:
    case Stage::kMlpUp:
      return kMlpIn;
    case Stage::kMlpAct:
    case Stage::kMlpDown:
      return kMlpOut;
    default:
      return kStream;
  }
}

double FirstLayerFloor(const v1::Provenance& a, const v1::Provenance& b, bool unknown) {
  if (unknown || Differ(a.attention(), b.attention())) return kFirstLayerFlash;
  if (Differ(a.activation_precision(), b.activation_precision())) return kFirstLayerActivations;
  if (Differ(a.kv_type(), b.kv_type())) return kFirstLayerKv;
  return kFirstLayerSame;
}

// The floor of an op whose activations are rounded on one side only.
double OneSidedFloor(Rounding a, Rounding b) {
  if (a == b) return kOp;
  if (a == Rounding::kQuantised || b == Rounding::kQuantised) return kOneSidedInt8;
  return a == Rounding::kBf16 || b == Rounding::kBf16 ? kOneSidedBf16 : kOneSidedF16;
}

RowLimits Widen(RowLimits limits, v1::DType dtype) {
  const double stored =
      dtype == v1::DTYPE_F16 ? kStoredF16 : (dtype == v1::DTYPE_BF16 ? kStoredBf16 : 0);
  limits.floor_nmse = std::max(limits.floor_nmse, stored / limits.match_multiples);
  return limits;
}

}  // namespace

std::vector<std::string> Profile::Names() {
  std::vector<std::string> names(std::begin(kNames), std::end(kNames));
  names.push_back("shadow");
  return names;
}

absl::StatusOr<Profile> Profile::Choose(absl::string_view requested,
                                        const v1::Provenance& reference,
                                        const v1::Provenance& candidate, int layers) {
  Profile profile;
  profile.layers_ = layers;
  const std::optional<Rounding> a = RoundingOf(reference), b = RoundingOf(candidate);
  const bool unknown = !a || !b;
  profile.shadow_ = candidate.kind() == v1::CAPTURE_KIND_SHADOW;
  if (unknown) {
    // A log says nothing of its numerics: in a shadow comparison the judge's own are assumed, end
    // to end the widest.
    const absl::string_view assumed = profile.shadow_ && (a || b) ? "the other side's is assumed"
                                                                  : "the widest profile is assumed";
    profile.notes_.push_back(absl::StrCat("numerics of the ", !a ? "reference" : "candidate",
                                          !a && !b ? " and the candidate" : "",
                                          " not known: ", assumed));
  }
  const Rounding widest = Rounding::kQuantised;
  const Rounding ra = a.value_or(profile.shadow_ ? b.value_or(widest) : widest);
  const Rounding rb = b.value_or(profile.shadow_ ? a.value_or(widest) : widest);
  profile.rounding_ = std::max(ra, rb);
  profile.first_layer_floor_ = FirstLayerFloor(reference, candidate, unknown);
  profile.product_floor_ = OneSidedFloor(ra, rb);
  profile.other_precision_ = profile.first_layer_floor_ != kFirstLayerSame;
  const bool half = !absl::EqualsIgnoreCase(reference.kv_type(), "f32") ||
                    !absl::EqualsIgnoreCase(candidate.kv_type(), "f32");
  profile.attention_floor_ = half ? kHalfAttention : kOp;
  if (Differ(reference.attention(), candidate.attention())) {
    profile.attention_floor_ = kOneSidedFlash;
  }
  if (!requested.empty()) {
    const auto* named = std::find(std::begin(kNames), std::end(kNames), requested);
    profile.shadow_ = requested == "shadow";
    if (named != std::end(kNames)) {
      profile.rounding_ = static_cast<Rounding>(named - std::begin(kNames));
    } else if (!profile.shadow_) {
      return absl::InvalidArgumentError(absl::StrCat(
          "profile \"", requested, "\", expected one of ", absl::StrJoin(Names(), ", ")));
    }
  }
  profile.name_ = profile.shadow_ ? "shadow" : kNames[static_cast<int>(profile.rounding_)];
  return profile;
}

RowLimits Profile::EndToEnd(absl::string_view checkpoint, int layer, int layers) const {
  switch (rounding_) {
    case Rounding::kF32:
      return kF32;
    case Rounding::kF16:
      return kF16;
    case Rounding::kBf16:
      return kBf16;
    case Rounding::kQuantised:
      break;
  }
  RowLimits limits = {kLastLayer, kMatchPlateau, kDriftPlateau};
  if (checkpoint == "logits") limits.floor_nmse = kLogits;
  if (checkpoint == "embed") limits.floor_nmse = kOp;  // a table look-up: the same bits, or nearly
  if (layer < 0) return limits;
  // Grows geometrically from the first layer over the middle to the last one, as measured.
  const double depth = layers > 1 ? std::min(1.0, layer / static_cast<double>(layers - 1)) : 0;
  const double from = depth < 0.5 ? first_layer_floor_ : std::max(kMiddleLayer, first_layer_floor_);
  const double to = depth < 0.5 ? std::max(kMiddleLayer, first_layer_floor_) : kLastLayer;
  limits.floor_nmse = from * std::pow(to / from, depth < 0.5 ? 2 * depth : 2 * depth - 1);
  if (layer == 0) return limits;
  const Inside& inside = InsideOf(checkpoint);
  limits.floor_nmse *= inside.factor;
  const double ceiling = other_precision_ ? inside.ceiling_other_precision : inside.ceiling;
  limits.drift_multiples = std::max(limits.drift_multiples, ceiling / limits.floor_nmse);
  return limits;
}

RowLimits Profile::SingleOp(absl::string_view checkpoint) const {
  const std::optional<checkpoint::Name> name = checkpoint::Parse(checkpoint);
  RowLimits limits = {kOp, kMatchOp, kDriftOp};
  if (!name) return limits;
  switch (name->stage) {
    case Stage::kAttnContext:
      limits.floor_nmse = attention_floor_;
      break;
    case Stage::kAttnQ:
    case Stage::kAttnK:
    case Stage::kAttnV:
    case Stage::kAttnOut:
    case Stage::kMlpGate:
    case Stage::kMlpUp:
    case Stage::kMlpDown:
    case Stage::kLogits:
      limits.floor_nmse = product_floor_;
      break;
    default:
      break;
  }
  return limits;
}

RowLimits Profile::Limits(const RowPlace& place) const {
  RowLimits limits;
  if (!shadow_) {
    limits = EndToEnd(place.checkpoint, checkpoint::LayerOf(place.checkpoint), layers_);
  } else if (place.single_op) {
    limits = SingleOp(place.checkpoint);
  } else if (place.stretch_layers > 1) {
    // Several layers run freely: as an end-to-end comparison of a model that deep.
    limits = EndToEnd(place.checkpoint, place.stretch_layers - 1, layers_);
  } else {
    const double stretch = rounding_ == Rounding::kQuantised ? kInt8Stretch
                           : rounding_ == Rounding::kF32     ? kOp
                                                             : kHalfAttention;
    limits = {std::max({stretch, product_floor_, attention_floor_}), kMatchOp, kDriftOp};
  }
  return Widen(Widen(limits, place.reference_dtype), place.candidate_dtype);
}

v1::RowVerdict VerdictOf(double nmse, const RowLimits& limits) {
  const double multiples = nmse / limits.floor_nmse;
  if (multiples <= limits.match_multiples) return v1::ROW_VERDICT_MATCH;
  if (multiples <= limits.drift_multiples) return v1::ROW_VERDICT_DRIFT;
  return v1::ROW_VERDICT_DIVERGED;  // a NaN comes here too
}

}  // namespace parity::compare
