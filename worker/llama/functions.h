// The functions of libllama and libggml that this room calls: found in a library at run time, typed
// by the headers at compile time.
#ifndef PARITY_WORKER_LLAMA_FUNCTIONS_H_
#define PARITY_WORKER_LLAMA_FUNCTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "ggml-backend.h"
#include "ggml.h"
#include "llama.h"

// Every function by its name; one that is called but not here does not compile.
#define PARITY_LLAMA_FUNCTIONS(F) \
  F(ggml_backend_tensor_get)      \
  F(ggml_commit)                  \
  F(ggml_free)                    \
  F(ggml_get_name)                \
  F(ggml_init)                    \
  F(ggml_is_contiguous)           \
  F(ggml_mul_mat)                 \
  F(ggml_nbytes)                  \
  F(ggml_nelements)               \
  F(ggml_new_tensor_4d)           \
  F(ggml_op_desc)                 \
  F(ggml_tensor_overhead)         \
  F(ggml_type_name)               \
  F(ggml_type_size)               \
  F(ggml_version)                 \
  F(llama_backend_init)           \
  F(llama_context_default_params) \
  F(llama_decode)                 \
  F(llama_free)                   \
  F(llama_get_logits_ith)         \
  F(llama_init_from_model)        \
  F(llama_log_set)                \
  F(llama_model_default_params)   \
  F(llama_model_free)             \
  F(llama_model_get_vocab)        \
  F(llama_model_has_decoder)      \
  F(llama_model_is_recurrent)     \
  F(llama_model_load_from_file)   \
  F(llama_model_n_ctx_train)      \
  F(llama_model_n_embd)           \
  F(llama_model_n_head)           \
  F(llama_model_n_head_kv)        \
  F(llama_model_n_layer)          \
  F(llama_print_system_info)      \
  F(llama_version)                \
  F(llama_vocab_n_tokens)

namespace parity::llama {

struct Functions {
#define PARITY_LLAMA_POINTER(name) decltype(&::name) name = nullptr;
  PARITY_LLAMA_FUNCTIONS(PARITY_LLAMA_POINTER)
#undef PARITY_LLAMA_POINTER
};

// Looks every function up in `library`, which dlopen returned for `file` (for messages), and in
// what it was linked with. FAILED_PRECONDITION when the library says another version of llama.cpp
// or ggml than the headers' (nothing else of it is called then), or lacks a function, which is
// named.
absl::StatusOr<Functions> FindFunctions(void* library, const std::string& file);

}  // namespace parity::llama

#endif  // PARITY_WORKER_LLAMA_FUNCTIONS_H_
