// The libllama that this process has loaded: started once, its messages kept, its build described.
#ifndef PARITY_WORKER_LLAMA_LIBRARY_H_
#define PARITY_WORKER_LLAMA_LIBRARY_H_

#include <map>
#include <string>

namespace parity::llama {

// Starts libllama's backends and takes its log over (VLOG(1), nothing on stderr). Idempotent,
// thread-safe.
void StartLibrary();

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
