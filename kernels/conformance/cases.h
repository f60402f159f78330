// Every op x dtype x odd shape, as programs that run on any backend, each with its derived
// tolerance.
#ifndef PARITY_KERNELS_CONFORMANCE_CASES_H_
#define PARITY_KERNELS_CONFORMANCE_CASES_H_

#include <functional>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace parity::kernels::conformance {

struct Case {
  std::string name;  // letters, digits and underscores
  int64_t rows;      // T
  // Runs the op on all rows, at most `at_once` in a call, and returns the output.
  std::function<std::vector<float>(Backend&, int64_t at_once)> run;
  // Largest difference from the oracle's output allowed per element.
  std::function<std::vector<double>(Numerics, const std::vector<float>& expected)> bounds;
  // Largest NMSE from the oracle's output.
  double nmse = 1e-10;
};

// Products and embeddings (cases_products.cc), attention (cases_attention.cc), the rest
// (cases_elementwise.cc).
std::vector<Case> ProductCases();
std::vector<Case> AttentionCases();
std::vector<Case> ElementwiseCases();
std::vector<Case> AllCases();

}  // namespace parity::kernels::conformance

#endif  // PARITY_KERNELS_CONFORMANCE_CASES_H_
