// What each fuzz target implements, once a binary, and the promises that all of them check.
#ifndef PARITY_TESTS_FUZZ_FUZZ_TARGET_H_
#define PARITY_TESTS_FUZZ_FUZZ_TARGET_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace parity::fuzz {

// Implemented by the target: small inputs that reach deep, the same at every call. Well-formed
// ones, and some that end in an error far inside.
std::vector<std::string> Seeds();

// Implemented by the target: how many mutations of seeds NAME_seeds_test runs, a few seconds'
// worth.
extern const int kReplayedMutations;

// Implemented by the target: feeds one input to the code under test. Ends the process when a
// promise is broken: by a CHECK, by a sanitizer or by MemoryBound.
void RunOne(absl::string_view input);

// Ends the process unless the message is what a person may be shown: not empty, one line of at most
// 4 KiB, valid UTF-8 without control characters. REQUIRES: an error.
void CheckErrorLine(const absl::Status& status);

}  // namespace parity::fuzz

#endif  // PARITY_TESTS_FUZZ_FUZZ_TARGET_H_
