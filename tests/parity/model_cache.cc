#include "tests/parity/model_cache.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "worker/llama/llama_engine.h"

namespace parity::testing {

std::string CachedModelPath(const std::string& file) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string root = cache != nullptr && *cache != '\0'
                               ? std::string(cache)
                               : absl::StrCat(home != nullptr ? home : "", "/.cache");
  return absl::StrCat(root, "/parity/", file);
}

std::string WhyNoModel(const std::string& path, const std::string& item) {
  if (access(path.c_str(), R_OK) != 0) {
    return absl::StrCat("no ", path, "; run deploy/fetch ", item);
  }
  const auto llama = llama::LlamaEngine::Create("", {});
  return absl::IsUnimplemented(llama.status()) ? std::string(llama.status().message()) : "";
}

}  // namespace parity::testing
