// Whether a library lays its structures out as the headers say.
#ifndef PARITY_WORKER_LLAMA_LAYOUT_H_
#define PARITY_WORKER_LLAMA_LAYOUT_H_

#include <string>

#include "absl/status/status.h"
#include "worker/llama/functions.h"

namespace parity::llama {

// A version may stand for many commits, between which fields come and go. So the library fills the
// structures that this room reads or writes, and they are read through the headers: default
// parameters of models and contexts, and the node of a matrix product. FAILED_PRECONDITION naming
// `file`, the structure and the first field that does not hold what it must.
absl::Status CheckLayout(const Functions& f, const std::string& file);

}  // namespace parity::llama

#endif  // PARITY_WORKER_LLAMA_LAYOUT_H_
