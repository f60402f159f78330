// Times the comparison of two stored captures alone: no process start, no printing.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "collector/compare/comparison.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.pb.h"
#include "proto/status/status_macros.h"
#include "tests/bench/benchmark.h"

namespace parity {
namespace {

absl::Status Run(const std::string& db, const v1::CompareRequest& request, int rounds) {
  ASSIGN_OR_RETURN(std::unique_ptr<store::CaptureStore> store,
                   store::CaptureStore::Open(db, store::OpenMode::kReadOnly));
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) {
    int64_t rows = 0;
    v1::ComparisonSummary summary;
    const auto start = std::chrono::steady_clock::now();
    RETURN_IF_ERROR(compare::CompareCaptures(
        *store, request,
        [&](const v1::ComparisonRow&) {
          ++rows;
          return absl::OkStatus();
        },
        &summary));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    seconds.push_back(took.count());
    if (rows == 0) return absl::NotFoundError("the captures have no rows");
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf("%.4f\n", seconds[seconds.size() / 2]);
  return absl::OkStatus();
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  std::string db;
  parity::v1::CompareRequest request;
  int rounds = 5;
  CLI::App app("Prints the median seconds of comparing two stored captures.");
  app.add_option("db", db, "Database file")->required();
  app.add_option_function<std::string>("run", [&](const std::string& v) { request.set_run(v); })
      ->required();
  app.add_option_function<std::string>("reference",
                                       [&](const std::string& v) { request.set_reference(v); })
      ->required();
  app.add_option_function<std::string>("candidate",
                                       [&](const std::string& v) { request.set_candidate(v); })
      ->required();
  app.add_option("--rounds", rounds, "Rounds")->check(CLI::PositiveNumber);
  return parity::bench::RunProgram(app, argc, argv,
                                   [&] { return parity::Run(db, request, rounds); });
}
