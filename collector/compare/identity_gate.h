// The identity gate: whether two captures are of the same model fed the same tokens, and what else
// differs.
#ifndef PARITY_COLLECTOR_COMPARE_IDENTITY_GATE_H_
#define PARITY_COLLECTOR_COMPARE_IDENTITY_GATE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "parity/v1/checkpoint.pb.h"
#include "parity/v1/collector.pb.h"

namespace parity::compare {

struct Identity {
  // What was found, one line each, for ComparisonSummary.identity.
  std::vector<std::string> lines;
  // The model files are known to differ: nothing is comparable.
  bool other_model = false;
  // First position whose input token ids are known on both sides and differ; -1: none.
  int32_t first_token_mismatch = -1;

  static constexpr int32_t kNone = std::numeric_limits<int32_t>::max();
  // First position that is not comparable; kNone: all are.
  int32_t first_incomparable() const {
    if (other_model) return 0;
    return first_token_mismatch < 0 ? kNone : first_token_mismatch;
  }
};

// Token records by position, one side's each.
Identity CheckIdentity(const v1::Provenance& reference, const v1::Provenance& candidate,
                       const std::vector<v1::TokenRecord>& reference_tokens,
                       const std::vector<v1::TokenRecord>& candidate_tokens);

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_IDENTITY_GATE_H_
