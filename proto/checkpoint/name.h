// Checkpoint names: the named places of a forward pass, their order and what each op reads.
//
// The stage table is the one place where a stage's wire name and forward order stand; both services
// use it.
#ifndef PARITY_PROTO_CHECKPOINT_NAME_H_
#define PARITY_PROTO_CHECKPOINT_NAME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace parity::checkpoint {

// Stages in forward order.
enum class Stage : uint8_t {
  kEmbed = 0,
  kAttnNorm,
  kAttnQ,
  kAttnK,
  kAttnV,
  kAttnQNorm,
  kAttnKNorm,
  kAttnQRope,
  kAttnKRope,
  kAttnContext,
  kAttnOut,
  kAttnPostNorm,
  kAttnResidual,
  kMlpNorm,
  kMlpGate,
  kMlpUp,
  kMlpAct,
  kMlpDown,
  kMlpPostNorm,
  kLayerOut,
  kFinalNorm,
  kLogits,
};
inline constexpr int kStageCount = 22;

struct StageTraits {
  Stage stage;
  const char* name;  // "attn.q"; "embed"; "out" for kLayerOut
  bool in_layer;     // name is prefixed by "layer.{i}."
};

// Traits by forward order; index = static_cast<int>(stage).
absl::Span<const StageTraits> Stages();

// A parsed name. layer is -1 outside the layer stack.
struct Name {
  Stage stage;
  int32_t layer = -1;
  friend bool operator==(const Name& a, const Name& b) {
    return a.stage == b.stage && a.layer == b.layer;
  }
};

// "layer.3.attn.q_rope", "embed". REQUIRES: layer >= 0 exactly for in-layer stages.
std::string ToString(Name name);

// Absent when `text` is not one of DESIGN's names (imported logs may hold others).
std::optional<Name> Parse(absl::string_view text);

// Whether `text` may be stored at all: 1..128 bytes of [a-z0-9._-] plus [A-Z] and "/" for imported
// names.
bool IsStorable(absl::string_view text);

// Forward order over the whole model: sortable, the same for every model.
// Names that Parse() does not know sort after the layer they mention (or after everything) with
// ties left to the caller.
int64_t Ordinal(Name name);
int64_t OrdinalOf(absl::string_view text);

// Stage label for tables: "attn.q", "layer.out", "embed", or the text itself for unknown names;
// layer -1 when none.
std::string StageLabel(absl::string_view text);
int32_t LayerOf(absl::string_view text);

// The checkpoints an op reads directly, given which names exist in a model (or in a capture): an
// absent optional stage (q_norm, post_norm ...) is looked through to what it would have read.
// `exists(name)` tells whether the model computes the checkpoint. Inputs of kEmbed: none.
// kAttnContext reads q_rope, k_rope and v of its position; the cache of earlier positions is
// implied.
std::vector<Name> DirectInputs(Name name, absl::Span<const Name> model_names);

// The recorded checkpoints from which a name's local error is measured: DirectInputs, each
// replaced, while it is not in `recorded`, by its own inputs. single_op is true when every direct
// input was recorded.
struct Stretch {
  std::vector<Name> from;
  bool single_op = false;
};
// In the order of `names`; all at once is much cheaper than one by one.
std::vector<Stretch> MeasuredFrom(absl::Span<const Name> names, absl::Span<const Name> model_names,
                                  absl::Span<const Name> recorded);

// fnmatch(3)-style glob: * ? [..]; '*' crosses dots.
bool GlobMatches(absl::string_view glob, absl::string_view name);

}  // namespace parity::checkpoint

#endif  // PARITY_PROTO_CHECKPOINT_NAME_H_
