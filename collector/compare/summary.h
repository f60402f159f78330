// Adds up the rows of a comparison into its summary.
#ifndef PARITY_COLLECTOR_COMPARE_SUMMARY_H_
#define PARITY_COLLECTOR_COMPARE_SUMMARY_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "parity/v1/collector.pb.h"

namespace parity::compare {

// Rows in order, then Finish once.
class SummaryBuilder {
 public:
  // `checkpoint`: a small number that stands for the row's checkpoint in every call, from 0.
  void Add(const v1::ComparisonRow& row, int32_t checkpoint);

  // Everything the rows say, with verdict and reason. PARITY needs every row measured and both
  // captures COMPLETE. `other_model`: the gate found different model files.
  v1::ComparisonSummary Finish(bool other_model, const v1::Capture& reference,
                               const v1::Capture& candidate);

 private:
  struct Stage {
    v1::StageSummary summary;
    double nmse_sum = 0;
    int64_t numbers = 0;         // rows whose nmse is one: the others have no finite pair
    double worst_multiples = 0;  // of its floor, of the row that the summary shows
  };
  // What a checkpoint's name says.
  struct Place {
    Stage* stage = nullptr;
    int32_t layer = -1;
  };
  const Place& PlaceOf(const v1::ComparisonRow& row, int32_t checkpoint);
  void AddToStage(const v1::ComparisonRow& row, const Place& place);
  void AddLogits(const v1::ComparisonRow& row);
  void Decide(bool other_model, const v1::Capture& reference, const v1::Capture& candidate);

  v1::ComparisonSummary summary_;
  // By the stage's place in a layer, then its label: forward order.
  std::map<std::pair<int64_t, std::string>, Stage> stages_;
  std::vector<Place> places_;
  int64_t logits_rows_ = 0;
  double kl_sum_ = 0;
  double logits_nmse_sum_ = 0;
  int64_t identical_ = 0;
};

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_SUMMARY_H_
