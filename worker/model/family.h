// What an architecture's name says of its forward pass beside the metadata: one row a family.
#ifndef PARITY_WORKER_MODEL_FAMILY_H_
#define PARITY_WORKER_MODEL_FAMILY_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "kernels/backend.h"

namespace parity::model {

// Read off llama.cpp v0.5.0 (src/models/{llama,qwen2,qwen3,gemma3}.cpp). A tensor that a family may
// not have is refused by name when a file holds it, as llama.cpp refuses it.
struct Family {
  const char* architecture;  // general.architecture
  kernels::RopePairing rope_pairing;
  kernels::Activation activation;
  bool scaled_embedding;  // token embeddings are multiplied by sqrt(D)
  bool head_norms;        // attn_q_norm, attn_k_norm: per head, before RoPE
  bool post_norms;        // post_attention_norm, post_ffw_norm: before each residual add
  bool extra_biases;      // attn_output.bias and ffn_{gate,up,down}.bias may stand in the file
  bool rope_factors;      // rope_freqs.weight may stand in the file
  // Layers but each n-th attend within attention.sliding_window and rotate by rope.freq_base_swa;
  // n when attention.sliding_window_pattern does not say. 0: the family has no windows.
  int32_t window_pattern;
  // The attention scale multiplies q (and is rounded with it, where q is) instead of the scores.
  bool scales_query;
  // Models of this many layers scale by 1/sqrt(D/H) instead of 1/sqrt(K) (Gemma 3 27B); 0: none.
  int32_t width_scaled_layers;
};

// Null when this build does not compute the architecture.
const Family* FindFamily(absl::string_view architecture);

// "llama, qwen2, ...".
std::string SupportedArchitectures();

}  // namespace parity::model

#endif  // PARITY_WORKER_MODEL_FAMILY_H_
