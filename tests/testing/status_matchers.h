// Assertions on absl::Status and absl::StatusOr: a failure prints the status.
#ifndef PARITY_TESTS_TESTING_STATUS_MATCHERS_H_
#define PARITY_TESTS_TESTING_STATUS_MATCHERS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace parity::testing {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "is OK") {
  if (StatusOf(arg).ok()) return true;
  *result_listener << StatusOf(arg).ToString();
  return false;
}

// Code and message of a Status or StatusOr: StatusIs(absl::StatusCode::kNotFound, HasSubstr("x")).
MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         ::testing::Value(std::string(StatusOf(arg).message()), message);
}

}  // namespace parity::testing

#define EXPECT_OK(expr) EXPECT_THAT(expr, ::parity::testing::IsOk())
#define ASSERT_OK(expr) ASSERT_THAT(expr, ::parity::testing::IsOk())

// Ends the test when the StatusOr `expr` is an error, else moves its value into `lhs`.
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  PARITY_ASSERT_OK_AND_ASSIGN_(PARITY_TEST_CONCAT_(parity_statusor_, __LINE__), lhs, expr)
#define PARITY_ASSERT_OK_AND_ASSIGN_(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  ASSERT_OK(tmp);                                    \
  lhs = std::move(tmp).value()
#define PARITY_TEST_CONCAT_(a, b) PARITY_TEST_CONCAT_INNER_(a, b)
#define PARITY_TEST_CONCAT_INNER_(a, b) a##b

#endif  // PARITY_TESTS_TESTING_STATUS_MATCHERS_H_
