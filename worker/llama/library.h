// The libllama that this process has loaded: started once, its messages kept, its build described.
#ifndef PARITY_WORKER_LLAMA_LIBRARY_H_
#define PARITY_WORKER_LLAMA_LIBRARY_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "worker/llama/functions.h"

namespace parity::llama {

// Opens libllama (`chosen`: see LibraryPlaces), proves that it is what this program was built for,
// starts its backends and takes its log over (VLOG(1), nothing on stderr). Thread-safe. A process
// opens one library, for good: later calls return OK at once when they choose none or the same one,
// else FAILED_PRECONDITION. An error changes nothing; it is OpenLibraryFile's, FindFunctions's or
// CheckLayout's.
absl::Status StartLibrary(const std::string& chosen);

// The functions of the library. REQUIRES: StartLibrary returned OK, here and below.
const Functions& Library();

// Collects what libllama says at error level on any thread while it lives. Threading: one at a time
// per thread.
class ErrorCollector {
 public:
  ErrorCollector();
  ~ErrorCollector();
  // The messages so far, in one line; "no reason given" when there are none.
  std::string Text() const;
};

// "llama.cpp 0.5.0 (ggml 0.25.3 abcdef)".
std::string LibraryVersion();
// "avx512vnni", "avx512", "avx2", "avx", or "generic": what the loaded build was compiled to use.
std::string ComputePath();
// System information line, and the file name of the libggml-cpu that was loaded.
std::map<std::string, std::string> LibraryDetails();

}  // namespace parity::llama

#endif  // PARITY_WORKER_LLAMA_LIBRARY_H_
