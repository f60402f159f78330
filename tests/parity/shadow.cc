#include "tests/parity/shadow.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "tests/parity/flip_bound.h"
#include "tests/parity/metrics.h"

namespace parity::testing {

std::vector<SiteError> ShadowFindings::AboveFloor() const {
  std::vector<SiteError> above;
  for (const SiteError& site : sites) {
    if (!(site.unexplained <= kShadowFloor)) above.push_back(site);
  }
  return above;
}

std::string ShadowFindings::Table() const {
  std::map<Stage, SiteError> worst;
  for (const SiteError& site : sites) {
    const auto [it, fresh] = worst.try_emplace(site.stage, site);
    if (fresh) continue;
    const double unexplained = std::max(it->second.unexplained, site.unexplained);
    if (site.nmse > it->second.nmse) it->second = site;
    it->second.unexplained = unexplained;
  }
  std::string table = absl::StrFormat("%-16s %12s %6s %9s %12s\n", "stage", "worst NMSE", "layer",
                                      "position", "unexplained");
  for (const auto& [stage, site] : worst) {
    table += absl::StrFormat("%-16s %12.3e %6d %9d %12.3e\n",
                             checkpoint::Stages()[static_cast<int>(stage)].name, site.nmse,
                             site.layer, site.position, site.unexplained);
  }
  return table;
}

absl::Status ShadowObserver::BeginStep(const engine::Step& step) {
  first_position_ = step.first_position;
  return absl::OkStatus();
}

absl::Status ShadowObserver::Observe(Stage stage, int32_t layer,
                                     const engine::MutableTensorView& value) {
  SiteError& worst = sites_.try_emplace({layer, stage}, SiteError{stage, layer}).first->second;
  for (int64_t row = 0; row < value.rows; ++row) {
    const int32_t position = first_position_ + static_cast<int32_t>(row);
    const std::vector<float>* recorded = recording_.Find(stage, layer, position);
    if (recorded == nullptr) {
      ++unmeasured_;
      continue;
    }
    const absl::Span<float> values = value.values.subspan(row * value.width, value.width);
    if (recorded->size() != values.size()) return absl::InternalError("shapes differ");
    ++measured_;
    Measure(*recorded, values, position, worst);
    std::copy(recorded->begin(), recorded->end(), values.begin());
  }
  return absl::OkStatus();
}

void ShadowObserver::Measure(const std::vector<float>& recorded, absl::Span<const float> values,
                             int32_t position, SiteError& worst) const {
  const double nmse = Nmse(recorded, values);
  if (!(nmse <= worst.nmse)) {
    worst.nmse = nmse;
    worst.position = position;
  }
  double unexplained = nmse;
  if (worst.stage == Stage::kAttnContext && nmse > kShadowFloor / 100) {
    const ScoreRule rule = {config_.query_scale, config_.attention_scale,
                            config_.layer_table[worst.layer].window};
    const std::vector<double> bound = ContextFlipBound(recording_, rule, worst.layer, position);
    if (!bound.empty()) unexplained = UnexplainedNmse(recorded, values, bound);
  }
  worst.unexplained = std::max(worst.unexplained, unexplained);
}

ShadowFindings ShadowObserver::Findings() const {
  ShadowFindings findings;
  for (const auto& [site, error] : sites_) findings.sites.push_back(error);
  findings.measured = measured_;
  findings.unmeasured = unmeasured_;
  return findings;
}

}  // namespace parity::testing
