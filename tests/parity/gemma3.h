// The other real model of the parity tests: Gemma 3 270M Q4_K_M (Q5_0, Q4_K, Q8_0 and Q6_K tensors,
// windows of 512), where the user has fetched it under its own terms.
#ifndef PARITY_TESTS_PARITY_GEMMA3_H_
#define PARITY_TESTS_PARITY_GEMMA3_H_

#include <string>

#include "tests/parity/follow.h"

namespace parity::testing {

inline constexpr int kGemmaPrompts = 2;
inline constexpr const char* kGemmaPromptNames[kGemmaPrompts] = {"English", "code"};

// 64 ids: a prompt of 40, then 24 forced tokens. REQUIRES: 0 <= prompt < kGemmaPrompts.
Sequence Gemma3Sequence(int prompt);

// ${XDG_CACHE_HOME:-$HOME/.cache}/parity/gemma3-270m-q4_k_m.gguf.
std::string Gemma3Path();

// Why the tests that need model and libllama cannot run here; empty when they can.
std::string WhyNoGemma3();

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_GEMMA3_H_
