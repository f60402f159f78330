// Every op x dtype x odd shape, as programs that run on any backend, each with its derived
// tolerance.
#ifndef PARITY_KERNELS_CONFORMANCE_CASES_H_
#define PARITY_KERNELS_CONFORMANCE_CASES_H_

#include <functional>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace parity::kernels::conformance {

// How a backend rounds: chooses a case's oracle and its bounds.
enum class Arithmetic {
  kNative,        // as llama.cpp's CPU backend: the native oracle, float sums
  kF32,           // results rounded, sums in double
  kDeviceNative,  // a card's native numerics (kernels/cuda/cuda_backend.h): the f32 oracle, and
                  // what int8 or half activations and float sums explain
  kDeviceF32,     // a card's f32 numerics: kF32, but float sums in the product of many rows
};

inline bool IsNative(Arithmetic a) {
  return a == Arithmetic::kNative || a == Arithmetic::kDeviceNative;
}

struct Case {
  std::string name;  // letters, digits and underscores
  int64_t rows;      // T
  // Runs the op on all rows, at most `at_once` in a call, and returns the output.
  std::function<std::vector<float>(Backend&, int64_t at_once)> run;
  // Largest difference from the oracle's output allowed per element.
  std::function<std::vector<double>(Arithmetic, const std::vector<float>& expected)> bounds;
  // Largest NMSE from the oracle's output; a card's native numerics have one of their own.
  double nmse = 1e-10;
  double device_nmse = 1e-10;
  // Oracle of a card's native numerics.
  Numerics device_oracle = Numerics::kF32;
};

// Products and embeddings (cases_products.cc), attention (cases_attention.cc), the rest
// (cases_elementwise.cc).
std::vector<Case> ProductCases();
std::vector<Case> AttentionCases();
std::vector<Case> ElementwiseCases();
std::vector<Case> AllCases();

}  // namespace parity::kernels::conformance

#endif  // PARITY_KERNELS_CONFORMANCE_CASES_H_
