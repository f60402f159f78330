// Runs a program and keeps what it prints.
#ifndef PARITY_TESTS_BENCH_PROGRAM_OUTPUT_H_
#define PARITY_TESTS_BENCH_PROGRAM_OUTPUT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace parity::bench {

// What `command` (a path or a name on PATH, then its arguments as they are: no shell sees them)
// writes to stdout; its stderr is the caller's. UNAVAILABLE naming the program where it cannot be
// started or does not end with 0. REQUIRES: command is not empty.
absl::StatusOr<std::string> OutputOf(const std::vector<std::string>& command);

}  // namespace parity::bench

#endif  // PARITY_TESTS_BENCH_PROGRAM_OUTPUT_H_
