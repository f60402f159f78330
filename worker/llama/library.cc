#include "worker/llama/library.h"

#include <dlfcn.h>
#include <glog/logging.h>
#include <link.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "proto/status/status_macros.h"
#include "worker/llama/layout.h"
#include "worker/llama/library_file.h"

namespace parity::llama {
namespace {

constexpr size_t kMaxErrorBytes = 1024;  // libllama may repeat itself for every tensor

// libllama has one log for the process and loads models on threads of its own, so the errors are
// the process's.
std::mutex g_mutex;
int g_collectors = 0;             // guarded by g_mutex
std::string* g_errors = nullptr;  // guarded by g_mutex

std::mutex g_starting;
std::string* g_path = nullptr;  // of the library; guarded by g_starting
// Never closed or freed: libllama keeps threads, and may log while the process ends.
std::atomic<const Functions*> g_library = nullptr;

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

absl::Status CheckSameLibrary(const std::string& chosen) {
  if (chosen.empty()) return absl::OkStatus();
  for (const std::string& place : LibraryPlaces(chosen)) {
    std::error_code ignored;
    if (std::filesystem::equivalent(place, *g_path, ignored)) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("this process has opened ", *g_path, " and cannot open ", chosen, " besides"));
}

absl::StatusOr<Functions> Prove(const LibraryFile& file) {
  ASSIGN_OR_RETURN(const Functions functions, FindFunctions(file.library, file.path));
  RETURN_IF_ERROR(CheckLayout(functions, file.path));
  return functions;
}

}  // namespace

absl::Status StartLibrary(const std::string& chosen) {
  std::lock_guard<std::mutex> guard(g_starting);
  if (g_library != nullptr) return CheckSameLibrary(chosen);
  ASSIGN_OR_RETURN(const LibraryFile file, OpenLibraryFile(chosen));
  const absl::StatusOr<Functions> functions = Prove(file);
  if (!functions.ok()) {
    dlclose(file.library);
    return functions.status();
  }
  g_path = new std::string(file.path);
  g_errors = new std::string;
  functions->llama_log_set(TakeMessage, nullptr);
  functions->llama_backend_init();
  g_library = new Functions(*functions);
  return absl::OkStatus();
}

const Functions& Library() {
  const Functions* const library = g_library;
  CHECK(library != nullptr) << "StartLibrary comes first";
  return *library;
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
  return absl::StrCat("llama.cpp ", Library().llama_version(), " (ggml ", Library().ggml_version(),
                      " ", Library().ggml_commit(), ")");
}

std::string ComputePath() {
  const std::string info = Library().llama_print_system_info();
  if (absl::StrContains(info, "AVX512_VNNI = 1")) return "avx512vnni";
  if (absl::StrContains(info, "AVX512 = 1")) return "avx512";
  if (absl::StrContains(info, "AVX2 = 1")) return "avx2";
  if (absl::StrContains(info, "AVX = 1")) return "avx";
  return "generic";
}

std::map<std::string, std::string> LibraryDetails() {
  std::string file;
  dl_iterate_phdr(FindCpuLibrary, &file);
  return {{"llama_system_info", Library().llama_print_system_info()}, {"ggml_cpu_library", file}};
}

}  // namespace parity::llama
