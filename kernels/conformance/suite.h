// The suite every backend passes: results within a derived bound of the scalar oracle, and the same
// bits whatever the path, the threads and the rows of a call.
//
// A backend's own test instantiates both fixtures; the tests themselves are in suite.cc and run
// over AllCases().
#ifndef PARITY_KERNELS_CONFORMANCE_SUITE_H_
#define PARITY_KERNELS_CONFORMANCE_SUITE_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "kernels/backend.h"
#include "kernels/conformance/cases.h"

namespace parity::kernels::conformance {

// A backend under test. The factory returns null where this machine cannot run it: the test is then
// skipped.
struct Subject {
  std::string name;  // letters, digits and underscores
  Numerics numerics;
  std::function<std::unique_ptr<Backend>()> make;
  bool device = false;  // rounds as a card does (Arithmetic)
};

// Param: subject, case. Runs the case on the subject and on the oracle.
class OracleTest : public testing::TestWithParam<std::tuple<Subject, Case>> {};

// Two subjects that must agree to the bit; they may be one and the same, then only the pieces
// differ.
struct BitsPair {
  Subject base;
  Subject other;
  bool pieces = true;  // whether the bits must not depend on the rows of a call either
};

// Param: pair, case. Runs the case on base with all rows in one call, and on other in one call, in
// twos and row by row.
class BitsTest : public testing::TestWithParam<std::tuple<BitsPair, Case>> {};

// Names in failure messages.
void PrintTo(const Subject& subject, std::ostream* out);
void PrintTo(const BitsPair& pair, std::ostream* out);
void PrintTo(const Case& test, std::ostream* out);

std::string OracleTestName(const testing::TestParamInfo<OracleTest::ParamType>& info);
std::string BitsTestName(const testing::TestParamInfo<BitsTest::ParamType>& info);

}  // namespace parity::kernels::conformance

#endif  // PARITY_KERNELS_CONFORMANCE_SUITE_H_
