#include "kernels/cpu/rope.h"

#include <glog/logging.h>

#include <cmath>

namespace parity::kernels {
namespace {

// Rotates one head with values and angles of type S; the products of double angles are exact enough
// to be rounded once.
template <typename S>
void RotateHead(const double* row, int64_t pairs, int64_t step, int64_t partner, float* x) {
  for (int64_t j = 0; j < pairs; ++j) {
    const S cosine = static_cast<S>(row[2 * j]);
    const S sine = static_cast<S>(row[2 * j + 1]);
    float* a = x + j * step;
    const S x0 = a[0];
    const S x1 = a[partner];
    a[0] = static_cast<float>(x0 * cosine - x1 * sine);
    a[partner] = static_cast<float>(x0 * sine + x1 * cosine);
  }
}

}  // namespace

void RopeTable::Prepare(const RopeSpec& spec, Numerics numerics, absl::Span<const float> factors,
                        absl::Span<const int32_t> positions) {
  const bool same = numerics == numerics_ && spec.dims == spec_.dims && spec.base == spec_.base &&
                    spec.freq_scale == spec_.freq_scale && factors == absl::MakeSpan(factors_) &&
                    positions == absl::MakeSpan(positions_);
  spec_ = spec;
  if (same) return;
  CHECK(spec.dims >= 0 && spec.dims % 2 == 0) << spec.dims;
  CHECK(factors.empty() || static_cast<int64_t>(factors.size()) == spec.dims / 2) << factors.size();
  numerics_ = numerics;
  factors_.assign(factors.begin(), factors.end());
  positions_.assign(positions.begin(), positions.end());
  table_.resize(positions.size() * spec.dims);
  for (size_t t = 0; t < positions.size(); ++t) {
    double* row = table_.data() + t * spec.dims;
    if (numerics == Numerics::kNative) {
      RowNative(factors, positions[t], row);
    } else {
      RowF32(factors, positions[t], row);
    }
  }
}

void RopeTable::RowNative(absl::Span<const float> factors, int32_t position, double* row) const {
  const float theta_scale = powf(spec_.base, -2.0f / static_cast<float>(spec_.dims));
  float theta = static_cast<float>(position);
  for (int32_t j = 0; j < spec_.dims / 2; ++j) {
    const float factor = factors.empty() ? 1.0f : factors[j];
    const float angle = spec_.freq_scale * (theta / factor);
    row[2 * j] = cosf(angle);
    row[2 * j + 1] = sinf(angle);
    theta *= theta_scale;
  }
}

void RopeTable::RowF32(absl::Span<const float> factors, int32_t position, double* row) const {
  for (int32_t j = 0; j < spec_.dims / 2; ++j) {
    const double factor = factors.empty() ? 1.0 : factors[j];
    const double angle = static_cast<double>(position) * spec_.freq_scale *
                         std::pow(static_cast<double>(spec_.base), -2.0 * j / spec_.dims) / factor;
    row[2 * j] = std::cos(angle);
    row[2 * j + 1] = std::sin(angle);
  }
}

void RopeTable::Rotate(int64_t t, int64_t heads, int32_t head_size, float* x) const {
  CHECK_GE(head_size, spec_.dims);
  const int64_t pairs = spec_.dims / 2;
  const bool adjacent = spec_.pairing == RopePairing::kAdjacent;
  const int64_t step = adjacent ? 2 : 1;
  const int64_t partner = adjacent ? 1 : pairs;
  const double* row = table_.data() + t * spec_.dims;
  for (int64_t h = 0; h < heads; ++h, x += head_size) {
    if (numerics_ == Numerics::kNative) {
      RotateHead<float>(row, pairs, step, partner, x);
    } else {
      RotateHead<double>(row, pairs, step, partner, x);
    }
  }
}

}  // namespace parity::kernels
