#include "kernels/cuda/device_memory.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/launches.h"
#include "proto/status/status_macros.h"

namespace parity::kernels::cuda {
namespace {

// Blocks are cut in pieces of about this size: host memory stays small beside the mapped file.
constexpr int64_t kPieceBytes = 4 << 20;

// The product of positive factors, or the largest int64 where that overflows.
int64_t Product(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (int64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) {
      return std::numeric_limits<int64_t>::max();
    }
  }
  return product;
}

// Uploads `part` bytes at `at` of each of the source's blocks, one after the other.
void UploadParts(Device& device, absl::Span<const uint8_t> blocks, int64_t block_bytes, int64_t at,
                 int64_t part, uint8_t* to) {
  const int64_t count = static_cast<int64_t>(blocks.size()) / block_bytes;
  const int64_t at_once = std::max<int64_t>(1, kPieceBytes / part);
  std::vector<uint8_t> piece(std::min(at_once, count) * part);
  for (int64_t first = 0; first < count; first += at_once) {
    const int64_t some = std::min(at_once, count - first);
    for (int64_t i = 0; i < some; ++i) {
      std::memcpy(piece.data() + i * part, blocks.data() + (first + i) * block_bytes + at, part);
    }
    device.Upload(piece.data(), some * part, to + first * part);
  }
}

}  // namespace

absl::StatusOr<Block> Block::Allocate(Device& device, int64_t bytes) {
  Block block;
  // A null pointer is no memory; an empty weight still is a weight.
  ASSIGN_OR_RETURN(block.memory_, device.Allocate(std::max<int64_t>(bytes, 1)));
  block.device_ = &device;
  block.bytes_ = bytes;
  return block;
}

DeviceWeight::DeviceWeight(const WeightSource& source, Block block)
    : Weight(source.dtype, source.rows, source.cols), block_(std::move(block)) {
  const DTypeTraits& traits = Traits(source.dtype);
  const int64_t blocks = source.rows * source.cols / traits.block_elements;
  const int64_t body = traits.block_bytes - CutOf(source.dtype).side_bytes;
  view_ = {source.dtype, source.rows, source.cols, block_.as<uint8_t>(),
           block_.as<uint8_t>() + blocks * body};
}

absl::StatusOr<std::unique_ptr<DeviceWeight>> DeviceWeight::Load(Device& device,
                                                                 const WeightSource& source) {
  const DTypeTraits& traits = Traits(source.dtype);
  if (source.rows < 0 || source.cols < 0 || source.cols % traits.block_elements != 0 ||
      static_cast<int64_t>(source.bytes.size()) !=
          source.rows * RowBytes(source.dtype, source.cols)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", source.name, ": ", source.rows, " x ",
                                                   source.cols, " ", traits.name, " is not ",
                                                   source.bytes.size(), " bytes"));
  }
  auto block = Block::Allocate(device, static_cast<int64_t>(source.bytes.size()));
  if (!block.ok()) {
    return absl::Status(block.status().code(),
                        absl::StrCat("tensor ", source.name, ": ", block.status().message()));
  }
  std::unique_ptr<DeviceWeight> weight(new DeviceWeight(source, *std::move(block)));
  uint8_t* const to = weight->block_.as<uint8_t>();
  const BlockCut cut = CutOf(source.dtype);
  if (cut.side_bytes == 0) {
    device.Upload(source.bytes.data(), static_cast<int64_t>(source.bytes.size()), to);
    return weight;
  }
  const int64_t body = traits.block_bytes - cut.side_bytes;
  const int64_t body_at = cut.side_at == 0 ? cut.side_bytes : 0;
  const int64_t blocks = static_cast<int64_t>(source.bytes.size()) / traits.block_bytes;
  UploadParts(device, source.bytes, traits.block_bytes, body_at, body, to);
  UploadParts(device, source.bytes, traits.block_bytes, cut.side_at, cut.side_bytes,
              to + blocks * body);
  return weight;
}

absl::StatusOr<std::unique_ptr<DeviceVector>> DeviceVector::Load(Device& device,
                                                                 absl::Span<const float> values) {
  const int64_t bytes = static_cast<int64_t>(values.size() * sizeof(float));
  ASSIGN_OR_RETURN(Block block, Block::Allocate(device, bytes));
  if (bytes > 0) device.Upload(values.data(), bytes, block.as<void>());
  return std::unique_ptr<DeviceVector>(
      new DeviceVector(std::move(block), static_cast<int64_t>(values.size())));
}

absl::StatusOr<std::unique_ptr<DeviceBuffer>> DeviceBuffer::Create(Device& device,
                                                                   int64_t elements) {
  CHECK_GE(elements, 0);
  const int64_t bytes = Product({elements, static_cast<int64_t>(sizeof(float))});
  ASSIGN_OR_RETURN(Block block, Block::Allocate(device, bytes));
  device.Zero(block.as<void>(), bytes);
  return std::unique_ptr<DeviceBuffer>(new DeviceBuffer(std::move(block), elements));
}

absl::StatusOr<std::unique_ptr<DeviceKvCache>> DeviceKvCache::Create(Device& device,
                                                                     const KvShape& shape) {
  if (shape.head_size > kMostHeadSize) {
    return absl::UnimplementedError(absl::StrCat("attention with heads of ", shape.head_size,
                                                 " values: the cuda engine has up to ",
                                                 kMostHeadSize));
  }
  const int64_t element = shape.type == KvType::kF16 ? 2 : 4;
  const int64_t bytes =
      Product({2, shape.layers, shape.kv_heads, shape.capacity, shape.head_size, element});
  auto block = Block::Allocate(device, bytes);
  if (!block.ok()) {
    return absl::Status(
        block.status().code(),
        absl::StrCat("KV cache of ", shape.capacity, " positions: ", block.status().message()));
  }
  return std::unique_ptr<DeviceKvCache>(new DeviceKvCache(shape, *std::move(block)));
}

}  // namespace parity::kernels::cuda
