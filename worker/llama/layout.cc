#include "worker/llama/layout.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/status/status_macros.h"

namespace parity::llama {
namespace {

// Defaults with room behind them, since a library's structure may be longer than the headers'. A
// structure of more than 16 bytes is returned in memory of the caller (System V's x86-64 ABI and
// AArch64's alike), so the callee does not learn how much there is.
template <typename Params>
struct Roomy {
  Params params;
  char more[1024];
};

template <typename Params>
Params Defaults(Params (*function)()) {
  static_assert(sizeof(Params) > 16);
  using RoomyFunction = Roomy<Params> (*)();
  return reinterpret_cast<RoomyFunction>(reinterpret_cast<void*>(function))().params;
}

// The first of the expectations that does not hold.
class Checker {
 public:
  Checker(const std::string& file, absl::string_view structure)
      : file_(file), structure_(structure) {}

  void Expect(bool holds, absl::string_view field) {
    if (holds || !status_.ok()) return;
    status_ = absl::FailedPreconditionError(absl::StrCat(
        file_, ": its ", structure_, " has another layout than this program was built for (", field,
        "); run deploy/fetch llama, and build again if that does not help"));
  }
  const absl::Status& status() const { return status_; }

 private:
  const std::string& file_;
  const absl::string_view structure_;
  absl::Status status_;
};

// A byte that a bool may hold: read as such, since another value must not become a bool.
bool IsBool(const bool& value) { return *reinterpret_cast<const unsigned char*>(&value) <= 1; }

// What is expected are the defaults of llama.h's own words: nothing set, nobody called back.
absl::Status CheckModelParams(const Functions& f, const std::string& file) {
  const llama_model_params p = Defaults(f.llama_model_default_params);
  Checker check(file, "llama_model_params");
  check.Expect(p.devices == nullptr, "devices");
  check.Expect(p.tensor_buft_overrides == nullptr, "tensor_buft_overrides");
  check.Expect(p.split_mode == LLAMA_SPLIT_MODE_LAYER, "split_mode");
  check.Expect(p.main_gpu == 0, "main_gpu");
  check.Expect(p.tensor_split == nullptr, "tensor_split");
  check.Expect(p.progress_callback == nullptr, "progress_callback");
  check.Expect(p.kv_overrides == nullptr, "kv_overrides");
  check.Expect(IsBool(p.vocab_only) && !p.vocab_only, "vocab_only");
  check.Expect(IsBool(p.use_extra_bufts) && p.use_extra_bufts, "use_extra_bufts");
  check.Expect(IsBool(p.no_alloc) && !p.no_alloc, "no_alloc");
  return check.status();
}

absl::Status CheckContextParams(const Functions& f, const std::string& file) {
  const llama_context_params p = Defaults(f.llama_context_default_params);
  Checker check(file, "llama_context_params");
  check.Expect(p.n_seq_max == 1, "n_seq_max");
  check.Expect(p.n_threads == GGML_DEFAULT_N_THREADS, "n_threads");
  check.Expect(p.n_threads_batch == GGML_DEFAULT_N_THREADS, "n_threads_batch");
  check.Expect(p.rope_scaling_type == LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED, "rope_scaling_type");
  check.Expect(p.pooling_type == LLAMA_POOLING_TYPE_UNSPECIFIED, "pooling_type");
  check.Expect(p.flash_attn_type == LLAMA_FLASH_ATTN_TYPE_AUTO, "flash_attn_type");
  check.Expect(p.rope_freq_base == 0 && p.rope_freq_scale == 0, "rope_freq_base");
  check.Expect(p.cb_eval == nullptr && p.cb_eval_user_data == nullptr, "cb_eval");
  check.Expect(p.type_k == GGML_TYPE_F16, "type_k");
  check.Expect(p.type_v == GGML_TYPE_F16, "type_v");
  check.Expect(p.abort_callback == nullptr && p.abort_callback_data == nullptr, "abort_callback");
  check.Expect(IsBool(p.embeddings) && !p.embeddings, "embeddings");
  check.Expect(IsBool(p.no_perf), "no_perf");
  check.Expect(p.samplers == nullptr && p.n_samplers == 0, "samplers");
  check.Expect(p.ctx_other == nullptr, "ctx_other");
  return check.status();
}

// The node of weights [3, 5] by activations [3, 7], which is [5, 7]: every field that node_tap
// reads.
void CheckNode(const Functions& f, const ggml_tensor* a, const ggml_tensor* b,
               const ggml_tensor* node, Checker& check) {
  constexpr int64_t kSizes[GGML_MAX_DIMS] = {5, 7, 1, 1};
  constexpr size_t kStrides[GGML_MAX_DIMS] = {4, 20, 140, 140};
  check.Expect(a->type == GGML_TYPE_F16 && node->type == GGML_TYPE_F32, "type");
  check.Expect(std::equal(std::begin(kSizes), std::end(kSizes), node->ne), "ne");
  check.Expect(std::equal(std::begin(kStrides), std::end(kStrides), node->nb), "nb");
  check.Expect(node->op == GGML_OP_MUL_MAT, "op");
  check.Expect(node->src[0] == a && node->src[1] == b, "src");
  check.Expect(f.ggml_get_name(node) == node->name, "name");
}

absl::Status CheckTensor(const Functions& f, const std::string& file) {
  Checker check(file, "ggml_tensor");
  // No data is allocated. 1024: ggml ends the program when the pool is short.
  ggml_context* context = f.ggml_init({3 * f.ggml_tensor_overhead() + 1024, nullptr, true});
  check.Expect(context != nullptr, "no context for three of them");
  RETURN_IF_ERROR(check.status());
  ggml_tensor* const a = f.ggml_new_tensor_4d(context, GGML_TYPE_F16, 3, 5, 1, 1);
  ggml_tensor* const b = f.ggml_new_tensor_4d(context, GGML_TYPE_F32, 3, 7, 1, 1);
  CheckNode(f, a, b, f.ggml_mul_mat(context, a, b), check);
  f.ggml_free(context);
  return check.status();
}

}  // namespace

absl::Status CheckLayout(const Functions& f, const std::string& file) {
  RETURN_IF_ERROR(CheckModelParams(f, file));
  RETURN_IF_ERROR(CheckContextParams(f, file));
  return CheckTensor(f, file);
}

}  // namespace parity::llama
