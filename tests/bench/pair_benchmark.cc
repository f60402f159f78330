// Times the comparison of one pair of logits: the C++ half of pair_benchmark.py.
//
// usage: pair_benchmark REFERENCE.f32 CANDIDATE.f32     raw little-endian floats, a whole
// vocabulary Prints one JSON line: the median of 5 in microseconds, and the metrics.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "collector/compare/pair_metrics.h"

namespace parity::compare {
namespace {

std::string Read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int Run(const char* reference_path, const char* candidate_path) {
  const std::string reference = Read(reference_path), candidate = Read(candidate_path);
  if (reference.empty() || reference.size() != candidate.size() || reference.size() % 4 != 0) {
    std::fprintf(stderr, "two files of as many floats are wanted\n");
    return 2;
  }
  const Payload a = {v1::DTYPE_F32, reference}, b = {v1::DTYPE_F32, candidate};
  PairComparer comparer;
  PairMetrics m;
  LogitsMetrics g;
  double micros[5];
  constexpr int kRepeats = 20;  // one alone is shorter than a scheduler's tick
  for (double& one : micros) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRepeats; ++i) {
      m = comparer.Compare(a, b);
      g = comparer.CompareLogits(a, b, m);
    }
    one = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
              .count() /
          kRepeats;
  }
  std::sort(std::begin(micros), std::end(micros));
  std::printf(
      "{\"micros\":%.3f,\"max_abs\":%.17g,\"max_abs_index\":%lld,\"mean_abs\":%.17g,"
      "\"rmse\":%.17g,\"nmse\":%.17g,\"cosine\":%.17g,\"kl\":%.17g,\"top1\":%d,\"rank\":%d,"
      "\"top5\":%d}\n",
      micros[2], m.max_abs, static_cast<long long>(m.max_abs_index), m.mean_abs, m.rmse, m.nmse,
      m.cosine, g.kl_divergence, g.reference_top1, g.reference_top1_rank, g.top5_overlap);
  return 0;
}

}  // namespace
}  // namespace parity::compare

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: pair_benchmark REFERENCE.f32 CANDIDATE.f32\n");
    return 2;
  }
  return parity::compare::Run(argv[1], argv[2]);
}
