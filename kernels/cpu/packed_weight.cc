#include "kernels/cpu/packed_weight.h"

#include <glog/logging.h>

#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/cpu/rounding.h"

namespace parity::kernels {
namespace {

absl::Status CheckShape(const WeightSource& source) {
  const DTypeTraits& traits = Traits(source.dtype);
  if (source.rows <= 0 || source.cols <= 0 || source.cols % traits.block_elements != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor ", source.name, ": ", source.rows, " x ", source.cols, " is no shape for a ",
        traits.name, " weight (rows of whole blocks of ", traits.block_elements, ")"));
  }
  // A file's sizes were checked at load; this guards the arithmetic below.
  constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 64;
  if (source.rows > kMaxElements / source.cols) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", source.name, ": ", source.rows, " x ",
                                                   source.cols, " is too large"));
  }
  const int64_t expected = source.rows * RowBytes(source.dtype, source.cols);
  if (static_cast<int64_t>(source.bytes.size()) != expected) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor ", source.name, ": ", source.bytes.size(), " bytes, expected ", expected));
  }
  return absl::OkStatus();
}

// Packs the blocks of one group of rows.
void PackGroup(const WeightSource& source, const WeightLayout& layout, int64_t group,
               int64_t blocks, uint8_t* out) {
  const int64_t row_bytes = RowBytes(source.dtype, source.cols);
  const uint8_t* rows[kGroupRows];
  for (int r = 0; r < kGroupRows; ++r) {
    const int64_t row = group * kGroupRows + r;
    rows[r] = row < source.rows ? source.bytes.data() + row * row_bytes : nullptr;
  }
  const int64_t step = RowBytes(source.dtype, layout.block_columns);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t left = source.cols - b * layout.block_columns;
    layout.pack(rows, left < layout.block_columns ? static_cast<int>(left) : layout.block_columns,
                out + b * layout.group_block_bytes);
    if (b + 1 == blocks) break;  // pointers stay inside the source
    for (const uint8_t*& row : rows) {
      if (row != nullptr) row += step;
    }
  }
}

}  // namespace

PackedWeight::PackedWeight(const WeightSource& source, const WeightLayout& layout)
    : Weight(source.dtype, source.rows, source.cols),
      source_(source),
      layout_(layout),
      groups_(DivideUp(source.rows, kGroupRows)),
      blocks_(DivideUp(source.cols, layout.block_columns)) {}

absl::StatusOr<std::unique_ptr<PackedWeight>> PackWeight(const WeightSource& source,
                                                         Numerics /*numerics*/, ThreadPool* pool,
                                                         WeightMemory* memory) {
  const WeightLayout* layout = FindWeightLayout(source.dtype);
  if (layout == nullptr) {
    return absl::UnimplementedError(absl::StrCat("tensor ", source.name,
                                                 ": the cpu engine has no product for type ",
                                                 static_cast<uint32_t>(source.dtype)));
  }
  if (absl::Status status = CheckShape(source); !status.ok()) return status;
  std::unique_ptr<PackedWeight> weight(new PackedWeight(source, *layout));
  if (!source.multiplied) return weight;
  weight->bytes_ = weight->groups() * weight->group_bytes();
  WeightMemory own(/*piece_bytes=*/0);
  weight->data_ = (memory == nullptr ? own : *memory).Allocate(weight->bytes_);
  if (weight->data_ == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("tensor ", source.name, ": no memory for ", weight->bytes_, " bytes"));
  }
  const auto pack = [&](int64_t begin, int64_t end, int /*thread*/) {
    for (int64_t g = begin; g < end; ++g) {
      PackGroup(source, *layout, g, weight->blocks(),
                weight->data_.get() + g * weight->group_bytes());
    }
  };
  if (pool == nullptr) {
    pack(0, weight->groups(), 0);
  } else {
    pool->Run(weight->groups(), pack);
  }
  return weight;
}

void DequantizeRow(const PackedWeight& weight, int64_t row, float* out) {
  CHECK(row >= 0 && row < weight.rows());
  const int64_t row_bytes = RowBytes(weight.dtype(), weight.cols());
  weight.layout().dequantize(weight.source().bytes.data() + row * row_bytes, weight.cols(), out);
}

}  // namespace parity::kernels
