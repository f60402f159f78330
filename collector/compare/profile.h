// Tolerance profiles: how far apart two correct engines may be, by what legitimately differs
// between them.
//
// A row's verdict is its nmse in multiples of a noise floor: MATCH up to match_multiples, DRIFT up
// to drift_multiples, DIVERGED above. Floors come from measurements of llama.cpp against itself and
// against exact arithmetic (facts/parity.md); every constant in profile.cc says which.
#ifndef PARITY_COLLECTOR_COMPARE_PROFILE_H_
#define PARITY_COLLECTOR_COMPARE_PROFILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "parity/v1/checkpoint.pb.h"
#include "parity/v1/collector.pb.h"

namespace parity::compare {

// End-to-end classes, sharpest first, named by what is rounded on the way.
enum class Rounding {
  kF32 = 0,    // nothing below binary32: only the order of sums differs
  kF16,        // half-precision KV cache, activations or attention
  kBf16,       // bfloat16 activations
  kQuantised,  // int8 activations against quantised weights: chaotic, grows with depth to a plateau
};

struct RowLimits {
  double floor_nmse = 0;
  double match_multiples = 0;
  double drift_multiples = 0;
};

// Where a row stands.
struct RowPlace {
  absl::string_view checkpoint;
  v1::DType reference_dtype = v1::DTYPE_F32;
  v1::DType candidate_dtype = v1::DTYPE_F32;
  bool single_op = false;  // shadow: every input of the op was substituted
  int stretch_layers =
      0;  // shadow, not single_op: layers since the last substituted checkpoint, at least 1
};

class Profile {
 public:
  // The profile of a comparison. `requested` is empty (choose by provenance) or one of Names();
  // INVALID_ARGUMENT otherwise. `layers` is the number of layers seen (0: none), where the plateau
  // of the quantised profile ends.
  static absl::StatusOr<Profile> Choose(absl::string_view requested,
                                        const v1::Provenance& reference,
                                        const v1::Provenance& candidate, int layers);
  // "f32", "f16", "bf16", "quantised", "shadow".
  static std::vector<std::string> Names();

  const std::string& name() const { return name_; }
  bool shadow() const { return shadow_; }
  // What was assumed where the provenance does not say, one line each.
  const std::vector<std::string>& notes() const { return notes_; }

  RowLimits Limits(const RowPlace& place) const;

 private:
  RowLimits EndToEnd(absl::string_view checkpoint, int layer, int layers) const;
  RowLimits SingleOp(absl::string_view checkpoint) const;

  std::string name_;
  bool shadow_ = false;
  Rounding rounding_ = Rounding::kQuantised;  // of the whole computation
  double first_layer_floor_ = 0;              // quantised: where the growth starts
  bool other_precision_ = false;              // quantised: KV, activations or attention differ
  double product_floor_ = 0;    // shadow: ops that read activations into a matrix product
  double attention_floor_ = 0;  // shadow: attn.context
  int layers_ = 0;
  std::vector<std::string> notes_;
};

v1::RowVerdict VerdictOf(double nmse, const RowLimits& limits);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_PROFILE_H_
