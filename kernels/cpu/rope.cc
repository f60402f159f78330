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
  for (int i = 0; i < 2; ++i) {
    Table& table = tables_[i];
    if (numerics == table.numerics && spec.dims == table.spec.dims &&
        spec.base == table.spec.base && spec.freq_scale == table.spec.freq_scale &&
        factors == absl::MakeSpan(table.factors) && positions == absl::MakeSpan(table.positions)) {
      table.spec.pairing = spec.pairing;
      current_ = i;
      return;
    }
  }
  CHECK(spec.dims >= 0 && spec.dims % 2 == 0) << spec.dims;
  CHECK(factors.empty() || static_cast<int64_t>(factors.size()) == spec.dims / 2) << factors.size();
  current_ = 1 - current_;  // the other one was asked for last
  Table& table = tables_[current_];
  table.spec = spec;
  table.numerics = numerics;
  table.factors.assign(factors.begin(), factors.end());
  table.positions.assign(positions.begin(), positions.end());
  table.Fill();
}

void RopeTable::Table::Fill() {
  values.resize(positions.size() * spec.dims);
  for (size_t t = 0; t < positions.size(); ++t) {
    double* row = values.data() + t * spec.dims;
    if (numerics == Numerics::kNative) {
      RowNative(positions[t], row);
    } else {
      RowF32(positions[t], row);
    }
  }
}

void RopeTable::Table::RowNative(int32_t position, double* row) const {
  const float theta_scale = powf(spec.base, -2.0f / static_cast<float>(spec.dims));
  float theta = static_cast<float>(position);
  for (int32_t j = 0; j < spec.dims / 2; ++j) {
    const float factor = factors.empty() ? 1.0f : factors[j];
    const float angle = spec.freq_scale * (theta / factor);
    row[2 * j] = cosf(angle);
    row[2 * j + 1] = sinf(angle);
    theta *= theta_scale;
  }
}

void RopeTable::Table::RowF32(int32_t position, double* row) const {
  for (int32_t j = 0; j < spec.dims / 2; ++j) {
    const double factor = factors.empty() ? 1.0 : factors[j];
    const double angle = static_cast<double>(position) * spec.freq_scale *
                         std::pow(static_cast<double>(spec.base), -2.0 * j / spec.dims) / factor;
    row[2 * j] = std::cos(angle);
    row[2 * j + 1] = std::sin(angle);
  }
}

void RopeTable::Rotate(int64_t t, int64_t heads, int32_t head_size, float* x) const {
  const Table& table = tables_[current_];
  const int64_t dims = table.spec.dims;
  CHECK_GE(head_size, dims);
  const int64_t pairs = dims / 2;
  const bool adjacent = table.spec.pairing == RopePairing::kAdjacent;
  const int64_t step = adjacent ? 2 : 1;
  const int64_t partner = adjacent ? 1 : pairs;
  const double* row = table.values.data() + t * dims;
  for (int64_t h = 0; h < heads; ++h, x += head_size) {
    if (table.numerics == Numerics::kNative) {
      RotateHead<float>(row, pairs, step, partner, x);
    } else {
      RotateHead<double>(row, pairs, step, partner, x);
    }
  }
}

}  // namespace parity::kernels
