// The metrics of one pair of payloads, in one fused vectorised pass with double accumulation.
#ifndef PARITY_COLLECTOR_COMPARE_PAIR_METRICS_H_
#define PARITY_COLLECTOR_COMPARE_PAIR_METRICS_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "collector/compare/pair_kernel.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::compare {

// Elements of one side. REQUIRES: `bytes` is a whole number of elements of `dtype`, which is F32,
// F16 or BF16.
struct Payload {
  v1::DType dtype = v1::DTYPE_F32;
  absl::string_view bytes;
};

// Fields are those of v1::ComparisonRow. A pair of values is left out of every metric when either
// is not finite; where no pair is left, the metrics are NaN: nothing was measured, and that is not
// 0.
struct PairMetrics {
  int64_t elements = 0;  // pairs looked at
  int64_t finite = 0;    // of which both values are finite
  bool bit_identical = false;
  double max_abs = 0;
  int64_t max_abs_index = 0;  // the first such
  double reference_at_max = 0;
  double candidate_at_max = 0;
  double mean_abs = 0;
  double rmse = 0;
  double nmse = 0;  // 0 when both are all zero, +Inf when only the reference is
  double cosine = 0;
  double max_channel_error = 0;
  double reference_rms = 0;
  int64_t reference_nan = 0;
  int64_t reference_inf = 0;
  int64_t candidate_nan = 0;
  int64_t candidate_inf = 0;
  int64_t first_non_finite = -1;  // -1: none
  int64_t one_sided_non_finite =
      -1;  // first index where the two are not the same kind of non-finite; -1: none
};

// Whole-vocabulary logits. Order is by value, then by lower index. Not defined (valid is false)
// when anything is not finite.
struct LogitsMetrics {
  bool valid = false;
  double kl_divergence = 0;  // nats, reference || candidate; good to 1e-6 relative, 1e-15 absolute
  int32_t reference_top1 = 0;
  int32_t candidate_top1 = 0;
  int32_t reference_top1_rank = 0;  // 0-based, on the candidate's side
  double reference_top1_gap = 0;
  double top1_loss = 0;
  int32_t top5_overlap = 0;
  bool near_tie = false;
};

// A gap under this many logits is called a tie (facts: llama.cpp batched against per token flips
// the argmax at such gaps).
inline constexpr double kNearTieGap = 0.25;
inline constexpr int kNearTieRank = 2;

// Computes metrics; keeps buffers between calls. One thread at a time.
class PairComparer {
 public:
  explicit PairComparer(const PairKernel& kernel = BestPairKernel()) : kernel_(kernel) {}

  // Compares the first min(elements of either side) elements.
  PairMetrics Compare(const Payload& reference, const Payload& candidate);

  // Logits of the whole vocabulary. REQUIRES: both hold the same number of elements, at least one
  // and at most 2^31-1; `pair` is what Compare returned for them.
  LogitsMetrics CompareLogits(const Payload& reference, const Payload& candidate,
                              const PairMetrics& pair);

 private:
  // The block's floats: in place for F32, else decoded into `buffer`.
  static const char* Block(const Payload& payload, int64_t begin, int64_t n, float* buffer);
  void CompareFinite(const Payload& reference, const Payload& candidate, const PairSums& sums,
                     PairMetrics* metrics);
  void CompareNonFinite(const Payload& reference, const Payload& candidate, PairMetrics* metrics);
  double MaxChannelError(const Payload& reference, const Payload& candidate,
                         const PairMetrics& metrics);
  double KlDivergence(const Payload& reference, const Payload& candidate, const PairMetrics& pair,
                      int32_t top1);

  const PairKernel& kernel_;
  std::vector<double> block_max_;  // largest |a-b| of each block of the last Compare
  std::vector<float> reference_buffer_, candidate_buffer_;
};

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_PAIR_METRICS_H_
