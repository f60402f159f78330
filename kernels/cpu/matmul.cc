#include "kernels/cpu/matmul.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/container/inlined_vector.h"
#include "kernels/cpu/rounding.h"

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

// The rows of one call as a kind of weights wants them.
struct PreparedRows {
  ActivationKind kind;
  int64_t stride;       // bytes
  int64_t token_block;  // rows that a group of weights meets at a time
  const uint8_t* data = nullptr;
};

// One weight's part of a call: tasks [first, first + its groups x blocks of tokens).
struct Part {
  GroupProductFn product;
  const PackedWeight* weight;
  const PreparedRows* x;
  float* out;
  int64_t first;
};

// Tasks [begin, end) of a part, counted from its first: a group of weights times a block of tokens,
// the groups of a block follow each other.
void RunTasks(const Part& part, int64_t rows, int64_t begin, int64_t end) {
  const PackedWeight& weight = *part.weight;
  int64_t group = begin % weight.groups();
  int64_t token = begin / weight.groups() * part.x->token_block;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t first_row = group * kGroupRows;
    part.product(
        {.group = weight.group(group),
         .blocks = weight.blocks(),
         .activations = part.x->data + token * part.x->stride,
         .activation_stride = part.x->stride,
         .tokens = std::min(part.x->token_block, rows - token),
         .out = part.out + token * weight.rows() + first_row,
         .out_stride = weight.rows(),
         .out_rows = static_cast<int>(std::min<int64_t>(kGroupRows, weight.rows() - first_row))});
    if (++group == weight.groups()) {
      group = 0;
      token += part.x->token_block;
    }
  }
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

namespace {

ActivationKind KindFor(const PackedWeight& weight, Numerics numerics) {
  return numerics == Numerics::kF32 ? ActivationKind::kFloat : weight.layout().activations;
}

// The rows as each kind among the targets wants them, in the context's scratch.
absl::InlinedVector<PreparedRows, 2> PrepareRows(const float* x, int64_t rows,
                                                 absl::Span<const MatMulTarget> targets,
                                                 MatMulContext& context) {
  const int64_t cols = targets[0].weight->cols();
  absl::InlinedVector<PreparedRows, 2> prepared;
  int64_t bytes = 0;
  for (const MatMulTarget& target : targets) {
    CHECK(target.weight->source().multiplied) << target.weight->source().name;
    CHECK_EQ(target.weight->cols(), cols) << target.weight->source().name;
    const ActivationKind kind = KindFor(*target.weight, context.numerics());
    if (absl::c_any_of(prepared, [&](const PreparedRows& p) { return p.kind == kind; })) continue;
    const int64_t stride = RowStride(kind, cols);
    prepared.push_back({kind, stride, std::min(rows, TokenBlock(kind, stride))});
    bytes += RoundUp(rows * stride, kAlignment);
  }
  uint8_t* scratch = context.Scratch(bytes);
  for (PreparedRows& p : prepared) {
    PrepareActivations(p.kind, x, rows, cols, context, p.stride, scratch);
    p.data = scratch;
    scratch += RoundUp(rows * p.stride, kAlignment);
  }
  return prepared;
}

// By `product`, or by each weight's own when it is null.
void MatMulBy(GroupProductFn product, const float* x, int64_t rows,
              absl::Span<const MatMulTarget> targets, MatMulContext& context) {
  if (rows == 0 || targets.empty()) return;
  const auto prepared = PrepareRows(x, rows, targets, context);
  absl::InlinedVector<Part, 3> parts;
  int64_t tasks = 0;
  for (const auto& [weight, out] : targets) {
    const ActivationKind kind = KindFor(*weight, context.numerics());
    const PreparedRows& own_rows =
        *absl::c_find_if(prepared, [&](const PreparedRows& p) { return p.kind == kind; });
    const GroupProductFn own =
        product ? product : FindProduct(context.path(), weight->dtype(), context.numerics());
    CHECK(own != nullptr) << Name(context.path()) << " " << Traits(weight->dtype()).name;
    parts.push_back({own, weight, &own_rows, out, tasks});
    tasks += DivideUp(rows, own_rows.token_block) * weight->groups();
  }
  context.pool().Run(tasks, [&](int64_t begin, int64_t end, int /*thread*/) {
    for (size_t i = 0; i < parts.size(); ++i) {
      const int64_t first = parts[i].first;
      const int64_t last = i + 1 < parts.size() ? parts[i + 1].first : tasks;
      const int64_t from = std::max(begin, first), to = std::min(end, last);
      if (from < to) RunTasks(parts[i], rows, from - first, to - first);
    }
  });
}

}  // namespace

void MatMul(const float* x, int64_t rows, absl::Span<const MatMulTarget> targets,
            MatMulContext& context) {
  MatMulBy(nullptr, x, rows, targets, context);
}

void MatMulUsing(GroupProductFn product, const float* x, int64_t rows, const MatMulTarget& target,
                 MatMulContext& context) {
  MatMulBy(product, x, rows, {target}, context);
}

}  // namespace parity::kernels
