#include "tests/parity/flip_bound.h"

#include <algorithm>
#include <cmath>

#include "kernels/half.h"

namespace parity::testing {
namespace {

using engine::Stage;

std::vector<double> Rounded(const std::vector<float>& values, float scale = 1.0f) {
  std::vector<double> out;
  for (float v : values) out.push_back(kernels::HalfToFloat(kernels::FloatToHalf(v * scale)));
  return out;
}

double RoundedOnce(double v) {
  return kernels::HalfToFloat(kernels::FloatToHalf(static_cast<float>(v)));
}

struct Head {
  int64_t query, key_value;  // first element of this head
  int64_t size;              // K
};

// What half rounding leaves open of each probability of one head.
std::vector<double> OpenProbabilities(const std::vector<double>& q,
                                      const std::vector<std::vector<double>>& k, const Head& head,
                                      double scale) {
  const size_t count = k.size();
  std::vector<double> p(count), e(count);
  for (size_t j = 0; j < count; ++j) {
    double dot = 0, magnitude = 0;
    for (int64_t i = 0; i < head.size; ++i) {
      const double term = q[head.query + i] * k[j][head.key_value + i];
      dot += term;
      magnitude += std::abs(term);
    }
    p[j] = dot * scale;
    e[j] = 0x1p-24 * std::sqrt(static_cast<double>(head.size)) * scale * magnitude;
  }
  const double most = *std::max_element(p.begin(), p.end());
  double sum = 0, shift = 0;
  for (double& v : p) sum += v = std::exp(v - most);
  for (size_t j = 0; j < count; ++j) shift += (p[j] /= sum) * e[j];
  std::vector<double> open(count);
  for (size_t j = 0; j < count; ++j) {
    const double relative = e[j] + shift + 0x1p-21;
    open[j] = RoundedOnce(p[j] * (1 + relative)) - RoundedOnce(p[j] * (1 - relative));
  }
  return open;
}

}  // namespace

std::vector<double> ContextFlipBound(const engine::Recording& recording, const ScoreRule& rule,
                                     int32_t layer, int32_t position) {
  const std::vector<float>* query = recording.Find(Stage::kAttnQRope, layer, position);
  if (query == nullptr) return {};
  std::vector<std::vector<double>> k, v;
  const int32_t first = rule.window > 0 ? std::max(0, position + 1 - rule.window) : 0;
  for (int32_t j = first; j <= position; ++j) {
    const std::vector<float>* key = recording.Find(Stage::kAttnKRope, layer, j);
    const std::vector<float>* value = recording.Find(Stage::kAttnV, layer, j);
    if (key == nullptr || value == nullptr) return {};
    k.push_back(Rounded(*key));
    v.push_back(Rounded(*value));
  }
  const std::vector<double> q = Rounded(*query, rule.query_scale);
  const int64_t heads = recording.heads.at({layer, Stage::kAttnQRope});
  const int64_t kv_heads = recording.heads.at({layer, Stage::kAttnKRope});
  const int64_t size = static_cast<int64_t>(q.size()) / heads;
  std::vector<double> bound(q.size(), 0.0);
  for (int64_t h = 0; h < heads; ++h) {
    const Head head = {h * size, h / (heads / kv_heads) * size, size};
    const std::vector<double> open = OpenProbabilities(q, k, head, rule.score_scale);
    for (size_t j = 0; j < open.size(); ++j) {
      if (open[j] == 0) continue;
      for (int64_t d = 0; d < size; ++d) {
        bound[head.query + d] += open[j] * std::abs(v[j][head.key_value + d]);
      }
    }
  }
  return bound;
}

double UnexplainedNmse(const std::vector<float>& reference, absl::Span<const float> candidate,
                       const std::vector<double>& bound) {
  double error = 0, power = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double a = reference[i], d = std::abs(a - candidate[i]) - bound[i];
    // A NaN is not below its bound.
    if (!(d <= 0)) error += d * d;
    power += a * a;
  }
  if (error == 0) return 0;
  return power > 0 && std::isfinite(error) ? error / power : INFINITY;
}

}  // namespace parity::testing
