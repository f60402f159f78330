// Where the libllama of this machine lies, and the opening of it.
#ifndef PARITY_WORKER_LLAMA_LIBRARY_FILE_H_
#define PARITY_WORKER_LLAMA_LIBRARY_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace parity::llama {

// Files to try, in order. `chosen` is the library, or a folder that holds it or its lib/; nothing
// else is tried then. Empty: the folder that the build found it in, then where deploy/fetch puts it
// for this user, then, by name alone, wherever the loader looks.
std::vector<std::string> LibraryPlaces(const std::string& chosen);

struct LibraryFile {
  void* library = nullptr;  // from dlopen
  std::string path;         // as the loader found it
};

// Opens the first of LibraryPlaces that is there. NOT_FOUND naming every place and what to do;
// FAILED_PRECONDITION with the loader's words when a file is there and does not open.
absl::StatusOr<LibraryFile> OpenLibraryFile(const std::string& chosen);

}  // namespace parity::llama

#endif  // PARITY_WORKER_LLAMA_LIBRARY_FILE_H_
