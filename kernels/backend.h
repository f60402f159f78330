// The operations of a forward pass, over memory that the backend owns.
//
// One forward pass (worker/engine) is written against this interface; CPU, reference and CUDA
// implement it. Letters: T rows (tokens) of a step, D model width, H heads, G key/value heads, K
// head size, F feed-forward width, V vocabulary.
//
// Threading: one thread at a time per backend; ops run in call order. Errors are sticky: after the
// first one ops do nothing until TakeStatus() has returned it. Shapes are the caller's duty and are
// CHECKed.
//
// Determinism: for one numerics, every op gives the same bits whatever the thread count, the SIMD
// path, and (up to independent_rows() of them) whatever other rows stand in the same call:
// the order of each sum is part of the op's definition (kernels/README.md).
#ifndef PARITY_KERNELS_BACKEND_H_
#define PARITY_KERNELS_BACKEND_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/dtype.h"
#include "kernels/top_k.h"

namespace parity::kernels {

// A row-major float32 matrix in the backend's memory. A view: copying it copies no values.
struct Matrix {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;  // contiguous: row stride == cols
};

// A weight as it lies in the file: rows x cols, each row a whole number of blocks.
struct WeightSource {
  std::string name;  // for errors
  DType dtype;
  int64_t rows;                     // output features
  int64_t cols;                     // input features
  absl::Span<const uint8_t> bytes;  // must outlive the Weight (the mapped file)
  // false: for Embed only, never given to MatMul. A backend that reads rows from `bytes` then needs
  // no copy.
  bool multiplied = true;
};

// A weight in the backend's own layout. Made by Backend::LoadWeight; immutable.
class Weight {
 public:
  virtual ~Weight() = default;
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  DType dtype() const { return dtype_; }
  // Bytes the backend holds beside the mapped file (a repacked copy).
  virtual int64_t resident_bytes() const = 0;

 protected:
  Weight(DType dtype, int64_t rows, int64_t cols) : dtype_(dtype), rows_(rows), cols_(cols) {}

 private:
  DType dtype_;
  int64_t rows_;
  int64_t cols_;
};

// A vector of floats (norm weight, bias, rope factors) in the backend's memory. Immutable.
class Vector {
 public:
  virtual ~Vector() = default;
  virtual int64_t size() const = 0;
};

// Keys and values of one sequence, all layers. Made by Backend::NewKvCache.
class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual int32_t capacity() const = 0;  // positions
  virtual int64_t resident_bytes() const = 0;
};

struct KvShape {
  int32_t layers;
  int32_t kv_heads;   // G
  int32_t head_size;  // K
  int32_t capacity;   // positions
  KvType type;
};

// Memory for activations; freed with the object.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual float* data() = 0;
  virtual int64_t elements() const = 0;
};

// Where a row of a step belongs: its sequence's cache and its absolute position there.
struct RowPlace {
  KvCache* cache;
  int32_t position;
};

enum class RopePairing : uint8_t {
  kAdjacent,   // rotates (x[2j], x[2j+1]): llama
  kHalfSplit,  // rotates (x[j], x[j + dims/2]): qwen, gemma
};

// theta_j = position * freq_scale * base^(-2j/dims) / factors[j]. Rotates the first `dims` of each
// head.
struct RopeSpec {
  RopePairing pairing = RopePairing::kAdjacent;
  int32_t dims = 0;
  float base = 10000.0f;
  float freq_scale = 1.0f;
  const Vector* factors = nullptr;  // [dims/2] or null
};

struct AttentionSpec {
  int32_t layer = 0;
  int32_t heads = 0;      // H
  int32_t kv_heads = 0;   // G; query head h reads kv head h / (H/G)
  int32_t head_size = 0;  // K
  float scale = 1.0f;     // multiplies q.k
  int32_t window = 0;     // positions seen, the row's own included; 0: all before it
};

// One of the linear maps of a Project call.
struct Projection {
  const Weight* weight;
  const Vector* bias;  // or null
  Matrix out;          // [T, weight.rows]
};

// What an engine is about to ask of its backend. Bytes as they lie in the file or in float.
struct WorkPlan {
  int64_t weight_bytes = 0;     // of all weights and vectors
  int64_t buffer_bytes = 0;     // of the buffers that are made with the engine
  int64_t most_rows = 0;        // of an op's call
  int64_t widest_input = 0;     // of any MatMul
  int64_t largest_product = 0;  // elements of the largest weight that is multiplied by many rows
  int32_t heads = 0;            // H
  int32_t head_size = 0;        // K
  int32_t most_positions = 0;   // of a KV cache
  int64_t top_rows = 0;         // of any TopK
  int64_t vocabulary = 0;       // V, the columns of any TopK
};

enum class StepStart : uint8_t {
  kPlain,     // the ops follow as ever
  kRecorded,  // so that the next step of the key can be repeated
  kRepeated,  // the backend has queued all of them: none follows
};

// The ops of a step, for a backend that can repeat them in one go.
struct RepeatableStep {
  // Steps of the same key are the same ops over the same buffers and weights; ids, positions and
  // caches differ.
  uint64_t key;
  absl::Span<const int32_t> ids;        // [T], all that Embed is given
  absl::Span<const int32_t> positions;  // [T], all that Rope is given
  absl::Span<const RowPlace> places;    // [T], all that AppendKv and Attention are given
};

enum class Activation : uint8_t { kSilu, kGeluTanh };

// Host side of a tap: [rows, cols] row-major floats, valid during the call. May be overwritten when
// the tap asked for substitution: the next op reads what is left.
using TapSink = std::function<absl::Status(absl::Span<float> values, int64_t rows, int64_t cols)>;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;          // "cpu", "reference", "cuda"
  virtual std::string compute_path() const = 0;  // "avx2", "avx512vnni", "scalar", a card's name
  virtual int threads() const = 0;
  virtual Numerics numerics() const = 0;
  // Rows of a call up to which MatMul and Attention give a row the bits that it has alone: a card's
  // products of more rows are a library's.
  virtual int64_t independent_rows() const { return std::numeric_limits<int64_t>::max(); }

  // Called once, before anything is loaded. A backend whose memory is not the host's takes its
  // working memory here; RESOURCE_EXHAUSTED with the bytes required and free where the whole plan
  // does not fit.
  virtual absl::Status Prepare(const WorkPlan& plan) { return absl::OkStatus(); }

  // Loading. UNIMPLEMENTED naming tensor and type when there is no product for the type.
  virtual absl::StatusOr<std::unique_ptr<Weight>> LoadWeight(const WeightSource& source) = 0;
  virtual absl::StatusOr<std::unique_ptr<Vector>> LoadVector(absl::Span<const float> values) = 0;
  // RESOURCE_EXHAUSTED naming required bytes when memory is short.
  virtual absl::StatusOr<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape) = 0;
  virtual absl::StatusOr<std::unique_ptr<Buffer>> NewBuffer(int64_t elements) = 0;

  // out[t, :] = row ids[t] of table, dequantised. out: [T, table.cols]. REQUIRES: 0 <= ids[t] <
  // table.rows.
  virtual void Embed(const Weight& table, absl::Span<const int32_t> ids, Matrix out) = 0;
  // Each group of weight.size() values g of a row: g / sqrt(mean(g^2) + eps) * weight. out may be
  // x. x, out: [T, n * weight.size()] (n = 1: whole row; n = heads: per head).
  virtual void RmsNorm(Matrix x, const Vector& weight, float eps, Matrix out) = 0;
  // out[t, r] = sum_k weight[r, k] * x[t, k]. x: [T, weight.cols], out: [T, weight.rows]. out must
  // not overlap x.
  virtual void MatMul(const Weight& weight, Matrix x, Matrix out) = 0;
  // x[t, :] += bias. x: [T, bias.size()].
  virtual void AddBias(const Vector& bias, Matrix x) = 0;
  // MatMul, then AddBias to `out`: the same bits, perhaps at once.
  virtual void MatMulBias(const Weight& weight, const Vector& bias, Matrix x, Matrix out) {
    MatMul(weight, x, out);
    AddBias(bias, out);
  }
  // MatMul, or MatMulBias, of each with the same x: the same bits, perhaps at once. No out may
  // overlap x or another out.
  virtual void Project(Matrix x, absl::Span<const Projection> projections) {
    for (const Projection& p : projections) {
      if (p.bias == nullptr) {
        MatMul(*p.weight, x, p.out);
      } else {
        MatMulBias(*p.weight, *p.bias, x, p.out);
      }
    }
  }
  // Rotates every head of every row in place. x: [T, n * head_size]; positions: [T].
  virtual void Rope(const RopeSpec& spec, int32_t head_size, absl::Span<const int32_t> positions,
                    Matrix x) = 0;
  // Stores k, v of each row at its place. k, v: [T, G*K]. REQUIRES: position < capacity.
  virtual void AppendKv(int32_t layer, Matrix k, Matrix v, absl::Span<const RowPlace> places) = 0;
  // out[t, h*K..] = softmax(scale * q.k over the positions the row sees) v. q, out: [T, H*K].
  // REQUIRES: the rows' own k, v have been appended.
  virtual void Attention(const AttentionSpec& spec, Matrix q, absl::Span<const RowPlace> places,
                         Matrix out) = 0;
  // out = activation(gate) * up, elementwise. All [T, F]. out may be gate or up.
  virtual void GatedActivation(Activation activation, Matrix gate, Matrix up, Matrix out) = 0;
  // out = a + b. out may be a or b.
  virtual void Add(Matrix a, Matrix b, Matrix out) = 0;
  // sum = a + b, then RmsNorm of it to `out`: the same bits, perhaps at once. sum may be a or b;
  // out must not overlap any of them.
  virtual void AddRmsNorm(Matrix a, Matrix b, const Vector& weight, float eps, Matrix sum,
                          Matrix out) {
    Add(a, b, sum);
    RmsNorm(sum, weight, eps, out);
  }
  // x *= factor.
  virtual void Scale(float factor, Matrix x) = 0;

  // Before the ops of a step; no bit depends on it. After kRecorded all of them follow, without a
  // Tap, Read or TakeStatus between, and then EndStep().
  virtual StepStart BeginStep(const RepeatableStep& step) { return StepStart::kPlain; }
  virtual void EndStep() {}

  // Brings `value` to `sink`, in forward order. With `substitute`, what the sink leaves is what the
  // next op reads; a device backend then waits for the sink. A sink's error becomes the sticky
  // status.
  virtual void Tap(Matrix value, bool substitute, TapSink sink) = 0;
  // Copies to the host. REQUIRES: out.size() == rows*cols. Waits.
  virtual void Read(Matrix value, absl::Span<float> out) = 0;
  // Brings the k largest values of each row, and the row's sum of exponentials, to the host. Waits.
  // After an error `out` means nothing. REQUIRES: out.size() == rows, cols >= 1, 1 <= k <=
  // kMostTopK.
  virtual void TopK(Matrix x, int32_t k, absl::Span<TopValues> out) = 0;

  // Waits for everything issued, returns the first error since the last call, and clears it.
  virtual absl::Status TakeStatus() = 0;
};

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_BACKEND_H_
