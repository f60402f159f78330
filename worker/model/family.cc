#include "worker/model/family.h"

#include "absl/strings/str_join.h"

namespace parity::model {
namespace {

using kernels::Activation;
using kernels::RopePairing;

constexpr Family kFamilies[] = {
    {.architecture = "llama",
     .rope_pairing = RopePairing::kAdjacent,
     .activation = Activation::kSilu,
     .extra_biases = true,
     .rope_factors = true},
    {.architecture = "qwen2",
     .rope_pairing = RopePairing::kHalfSplit,
     .activation = Activation::kSilu},
    {.architecture = "qwen3",
     .rope_pairing = RopePairing::kHalfSplit,
     .activation = Activation::kSilu,
     .head_norms = true},
    {.architecture = "gemma3",
     .rope_pairing = RopePairing::kHalfSplit,
     .activation = Activation::kGeluTanh,
     .scaled_embedding = true,
     .head_norms = true,
     .post_norms = true,
     .window_pattern = 6,
     .scales_query = true,
     .width_scaled_layers = 62},
};

}  // namespace

const Family* FindFamily(absl::string_view architecture) {
  for (const Family& family : kFamilies) {
    if (architecture == family.architecture) return &family;
  }
  return nullptr;
}

std::string SupportedArchitectures() {
  return absl::StrJoin(kFamilies, ", ", [](std::string* out, const Family& family) {
    out->append(family.architecture);
  });
}

}  // namespace parity::model
