// What the benchmark programs share.
#ifndef PARITY_TESTS_BENCH_BENCHMARK_H_
#define PARITY_TESTS_BENCH_BENCHMARK_H_

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace parity::bench {

// The upper one of an even count. REQUIRES: `values` is not empty.
inline double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Reads the command line and runs the program; an error goes to stderr. Returns the exit code.
inline int RunProgram(CLI::App& app, int argc, char** argv,
                      absl::FunctionRef<absl::Status()> program) {
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = program();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace parity::bench

#endif  // PARITY_TESTS_BENCH_BENCHMARK_H_
