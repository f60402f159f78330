#include "kernels/cpu/matmul.h"

#include <glog/logging.h>

#include <algorithm>

namespace parity::kernels {
namespace {

constexpr int64_t kAlignment = 64;

// Prepared activations of one token block stay in a quarter of a 512 KiB L2 while every group of
// weights passes by them.
constexpr int64_t kTokenBlockBytes = 128 << 10;

// Tokens of a block: a multiple of every kernel's tile. A group of floats that was widened
// serves at least 64.
int64_t TokenBlock(ActivationKind kind, int64_t row_bytes) {
  const bool quantized = kind == ActivationKind::kQ8 || kind == ActivationKind::kQ8K;
  const int64_t tile = quantized ? 8 : 64;
  return std::clamp<int64_t>(kTokenBlockBytes / row_bytes / tile * tile, tile, 256 / tile * tile);
}

// Bytes from one prepared row to the next. A tile reads four rows at once, beside its weights: with
// a power of two between them they would meet in few sets of the L1 cache.
int64_t RowStride(ActivationKind kind, int64_t cols) {
  const int64_t bytes = ActivationRowBytes(kind, cols);
  return bytes % 1024 == 0 ? bytes + kAlignment : bytes;
}

void PrepareActivations(ActivationKind kind, const float* x, int64_t rows, int64_t cols,
                        MatMulContext& context, int64_t stride, uint8_t* out) {
  const auto prepare = [&](int64_t begin, int64_t end, int /*thread*/) {
    for (int64_t t = begin; t < end; ++t) {
      PrepareActivationRow(kind, context.quantization(), context.path(), x + t * cols, cols,
                           out + t * stride);
    }
  };
  // Waking threads costs more than a few rows.
  if (rows < 8) {
    prepare(0, rows, 0);
  } else {
    context.pool().Run(rows, prepare);
  }
}

GroupProductFn FindProduct(SimdPath path, DType dtype, Numerics numerics) {
  switch (path) {
    case SimdPath::kScalar:
      return ScalarProduct(dtype, numerics);
    case SimdPath::kAvx2:
      return Avx2Product(dtype, numerics);
    case SimdPath::kAvx512:
      return Avx512Product(dtype, numerics);
    case SimdPath::kAvx512Vnni:
      return Avx512VnniProduct(dtype, numerics);
  }
  return nullptr;
}

}  // namespace

MatMulContext::MatMulContext(SimdPath path, Numerics numerics, ThreadPool& pool,
                             ActivationQuantization quantization)
    : path_(path), numerics_(numerics), pool_(pool), quantization_(quantization) {
  CHECK(Supported(path)) << Name(path);
}

uint8_t* MatMulContext::Scratch(int64_t bytes) {
  if (static_cast<int64_t>(scratch_.size()) < bytes + kAlignment) {
    scratch_.resize(bytes + kAlignment);
  }
  const auto address = reinterpret_cast<uintptr_t>(scratch_.data());
  return scratch_.data() + (kAlignment - address % kAlignment) % kAlignment;
}

void MatMulUsing(GroupProductFn product, const PackedWeight& weight, const float* x, int64_t rows,
                 float* out, MatMulContext& context) {
  CHECK(weight.source().multiplied) << weight.source().name;
  if (rows == 0) return;
  const ActivationKind kind =
      context.numerics() == Numerics::kF32 ? ActivationKind::kFloat : weight.layout().activations;
  const int64_t stride = RowStride(kind, weight.cols());
  uint8_t* activations = context.Scratch(rows * stride);
  PrepareActivations(kind, x, rows, weight.cols(), context, stride, activations);

  const int64_t token_block = std::min(rows, TokenBlock(kind, stride));
  const int64_t token_blocks = (rows + token_block - 1) / token_block;
  const int64_t groups = weight.groups();
  context.pool().Run(token_blocks * groups, [&](int64_t begin, int64_t end, int /*thread*/) {
    int64_t group = begin % groups;
    int64_t token = begin / groups * token_block;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first_row = group * kGroupRows;
      product(
          {.group = weight.group(group),
           .blocks = weight.blocks(),
           .activations = activations + token * stride,
           .activation_stride = stride,
           .tokens = std::min(token_block, rows - token),
           .out = out + token * weight.rows() + first_row,
           .out_stride = weight.rows(),
           .out_rows = static_cast<int>(std::min<int64_t>(kGroupRows, weight.rows() - first_row))});
      if (++group == groups) {
        group = 0;
        token += token_block;
      }
    }
  });
}

void MatMul(const PackedWeight& weight, const float* x, int64_t rows, float* out,
            MatMulContext& context) {
  const GroupProductFn product = FindProduct(context.path(), weight.dtype(), context.numerics());
  CHECK(product != nullptr) << Name(context.path()) << " " << Traits(weight.dtype()).name;
  MatMulUsing(product, weight, x, rows, out, context);
}

}  // namespace parity::kernels
