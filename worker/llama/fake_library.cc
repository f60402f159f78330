// Libraries that call themselves libllama and must not be used; BUILD.bazel says which is which.
#include "llama.h"
#include "llama_build.h"

#if defined(ANOTHER_VERSION)

const char* llama_version() { return "0.4.9"; }
const char* ggml_version() { return PARITY_GGML_VERSION; }

#elif defined(FEW_FUNCTIONS)

const char* llama_version() { return PARITY_LLAMA_VERSION; }
const char* ggml_version() { return PARITY_GGML_VERSION; }

#elif defined(ANOTHER_LAYOUT)

// The real library of the same version, but for a field that came between: what is not here is
// found in the library that this one is linked with. Longer than the headers' structure, too.
struct LongerParams {
  char before[40];
  llama_context_params params;
};

extern "C" __attribute__((visibility("default"))) LongerParams longer_params(void) asm(
    "llama_context_default_params");

LongerParams longer_params() {
  LongerParams longer = {};
  longer.params.n_threads = static_cast<int32_t>(llama_max_devices());
  return longer;
}

#endif
