#include "collector/compare/identity_gate.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace parity::compare {
namespace {

constexpr absl::string_view kToleranceNote = "legitimate: the tolerance profile allows for it";

void Line(Identity& identity, absl::string_view field, absl::string_view a, absl::string_view b,
          absl::string_view note) {
  if (a == b) return;
  if (a.empty() || b.empty()) note = "one side does not say";
  identity.lines.push_back(absl::StrCat(field, ": ", a.empty() ? "not known" : a, " against ",
                                        b.empty() ? "not known" : b, " (", note, ")"));
}

// 0 says nothing.
std::string Known(int64_t count) { return count == 0 ? "" : absl::StrCat(count); }

void CheckModel(const v1::Provenance& a, const v1::Provenance& b, Identity& identity) {
  if (a.model_sha256().empty() || b.model_sha256().empty()) {
    identity.lines.push_back("model_sha256: not known on both sides, so the model is not verified");
  } else if (a.model_sha256() != b.model_sha256()) {
    identity.other_model = true;
    Line(identity, "model_sha256", a.model_sha256(), b.model_sha256(),
         "another model: nothing is comparable");
  } else {
    identity.lines.push_back(
        absl::StrCat("model_sha256: ", a.model_sha256().substr(0, 16), ".. on both sides"));
  }
}

void CheckTokens(const std::vector<v1::TokenRecord>& reference,
                 const std::vector<v1::TokenRecord>& candidate, Identity& identity) {
  size_t unknown = 0, equal = 0, c = 0;
  for (const v1::TokenRecord& token : reference) {
    while (c < candidate.size() && candidate[c].position() < token.position()) ++c;
    if (c == candidate.size()) break;
    if (candidate[c].position() != token.position()) continue;
    const int32_t other = candidate[c].input_token_id();
    if (token.input_token_id() < 0 || other < 0) {
      ++unknown;
    } else if (token.input_token_id() == other) {
      ++equal;
    } else {
      identity.first_token_mismatch = token.position();
      identity.lines.push_back(absl::StrCat(
          "tokens: at position ", token.position(), " the reference was fed ",
          token.input_token_id(), ", the candidate ", other, " (not comparable from there on)"));
      return;
    }
  }
  if (unknown > 0 || equal == 0) {
    identity.lines.push_back(absl::StrCat("tokens: ids not known on both sides at ", unknown,
                                          " positions, equal at ", equal));
  } else {
    identity.lines.push_back(absl::StrCat("tokens: the same ids at ", equal, " positions"));
  }
}

}  // namespace

Identity CheckIdentity(const v1::Provenance& reference, const v1::Provenance& candidate,
                       const std::vector<v1::TokenRecord>& reference_tokens,
                       const std::vector<v1::TokenRecord>& candidate_tokens) {
  const v1::Provenance &a = reference, &b = candidate;
  Identity identity;
  CheckModel(a, b, identity);
  CheckTokens(reference_tokens, candidate_tokens, identity);
  Line(identity, "architecture", a.architecture(), b.architecture(), "not the same model");
  Line(identity, "weight_type", a.weight_type(), b.weight_type(), "not the same weights");
  Line(identity, "kv_type", a.kv_type(), b.kv_type(), kToleranceNote);
  Line(identity, "activation_precision", a.activation_precision(), b.activation_precision(),
       kToleranceNote);
  Line(identity, "attention", a.attention(), b.attention(), kToleranceNote);
  Line(identity, "numerics", a.numerics(), b.numerics(), kToleranceNote);
  Line(identity, "engine", a.engine(), b.engine(), "what is compared");
  Line(identity, "compute_path", a.compute_path(), b.compute_path(), kToleranceNote);
  Line(identity, "prefill_tokens_per_step", Known(a.prefill_tokens_per_step()),
       Known(b.prefill_tokens_per_step()), kToleranceNote);
  Line(identity, "sampler", a.sampler(), b.sampler(), "legitimate: the tokens are compared");
  return identity;
}

}  // namespace parity::compare
