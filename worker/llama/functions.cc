#include "worker/llama/functions.h"

#include <dlfcn.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "llama_build.h"
#include "proto/status/status_macros.h"

namespace parity::llama {
namespace {

template <typename Function>
absl::Status Find(void* library, const std::string& file, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(file, ": has no ", name, ", which llama.cpp ", PARITY_LLAMA_VERSION, " has"));
}

// Structures and signatures change between versions and nothing at run time would notice. Commits
// are not compared: outside llama.cpp's own repository they name whatever surrounded the sources.
absl::Status CheckVersion(const Functions& f, const std::string& file) {
  const absl::string_view llama = f.llama_version();
  const absl::string_view ggml = f.ggml_version();
  if (llama == PARITY_LLAMA_VERSION && ggml == PARITY_GGML_VERSION) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      file, ": found llama.cpp ", llama, " with ggml ", ggml, ", expected ", PARITY_LLAMA_VERSION,
      " with ggml ", PARITY_GGML_VERSION,
      ", which this program was built for; run deploy/fetch llama, and build again if it is still "
      "another"));
}

}  // namespace

absl::StatusOr<Functions> FindFunctions(void* library, const std::string& file) {
  Functions f;
  RETURN_IF_ERROR(Find(library, file, "llama_version", f.llama_version));
  RETURN_IF_ERROR(Find(library, file, "ggml_version", f.ggml_version));
  RETURN_IF_ERROR(CheckVersion(f, file));
#define PARITY_LLAMA_FIND(name) RETURN_IF_ERROR(Find(library, file, #name, f.name));
  PARITY_LLAMA_FUNCTIONS(PARITY_LLAMA_FIND)
#undef PARITY_LLAMA_FIND
  return f;
}

}  // namespace parity::llama
