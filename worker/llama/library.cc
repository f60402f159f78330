#include "worker/llama/library.h"

#include <glog/logging.h>
#include <link.h>

#include <mutex>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "llama.h"

namespace parity::llama {
namespace {

constexpr size_t kMaxErrorBytes = 1024;  // libllama may repeat itself for every tensor

// libllama has one log for the process and loads models on threads of its own, so the errors are
// the process's.
std::mutex g_mutex;
int g_collectors = 0;             // guarded by g_mutex
std::string* g_errors = nullptr;  // guarded by g_mutex

void TakeMessage(ggml_log_level level, const char* text, void*) {
  VLOG(1) << "libllama: " << absl::StripTrailingAsciiWhitespace(text);
  if (level != GGML_LOG_LEVEL_ERROR) return;
  std::lock_guard<std::mutex> guard(g_mutex);
  if (g_collectors > 0 && g_errors->size() < kMaxErrorBytes) {
    absl::StrAppend(g_errors, g_errors->empty() ? "" : "; ",
                    absl::StripTrailingAsciiWhitespace(text));
  }
}

int FindCpuLibrary(dl_phdr_info* info, size_t, void* found) {
  const absl::string_view path = info->dlpi_name;
  const absl::string_view file = path.substr(path.rfind('/') + 1);  // npos + 1 == 0
  if (!absl::StartsWith(file, "libggml-cpu")) return 0;
  *static_cast<std::string*>(found) = std::string(file);
  return 1;
}

}  // namespace

void StartLibrary() {
  static std::once_flag once;
  std::call_once(once, [] {
    g_errors = new std::string;  // never freed: libllama may log while the process ends
    llama_log_set(TakeMessage, nullptr);
    llama_backend_init();
  });
}

ErrorCollector::ErrorCollector() {
  std::lock_guard<std::mutex> guard(g_mutex);
  if (g_collectors++ == 0) g_errors->clear();
}

ErrorCollector::~ErrorCollector() {
  std::lock_guard<std::mutex> guard(g_mutex);
  --g_collectors;
}

std::string ErrorCollector::Text() const {
  std::lock_guard<std::mutex> guard(g_mutex);
  if (g_errors->empty()) return "no reason given";
  return absl::StrReplaceAll(*g_errors, {{"\n", " "}});
}

std::string LibraryVersion() {
  return absl::StrCat("llama.cpp ", llama_version(), " (ggml ", ggml_version(), " ", ggml_commit(),
                      ")");
}

std::string ComputePath() {
  const std::string info = llama_print_system_info();
  if (absl::StrContains(info, "AVX512_VNNI = 1")) return "avx512vnni";
  if (absl::StrContains(info, "AVX512 = 1")) return "avx512";
  if (absl::StrContains(info, "AVX2 = 1")) return "avx2";
  if (absl::StrContains(info, "AVX = 1")) return "avx";
  return "generic";
}

std::map<std::string, std::string> LibraryDetails() {
  std::string file;
  dl_iterate_phdr(FindCpuLibrary, &file);
  return {{"llama_system_info", llama_print_system_info()}, {"ggml_cpu_library", file}};
}

}  // namespace parity::llama
