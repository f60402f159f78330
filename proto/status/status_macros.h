// Early returns for absl::Status and absl::StatusOr.
#ifndef PARITY_PROTO_STATUS_STATUS_MACROS_H_
#define PARITY_PROTO_STATUS_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expr` from the calling function unless it is OK.
#define RETURN_IF_ERROR(expr)                                                              \
  do {                                                                                     \
    if (absl::Status parity_status_ = (expr); !parity_status_.ok()) return parity_status_; \
  } while (false)

// Evaluates the StatusOr `expr`; on error returns its status, else moves its value into `lhs`.
#define ASSIGN_OR_RETURN(lhs, expr) \
  PARITY_ASSIGN_OR_RETURN_(PARITY_CONCAT_(parity_statusor_, __LINE__), lhs, expr)

#define PARITY_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  lhs = std::move(tmp).value()
#define PARITY_CONCAT_(a, b) PARITY_CONCAT_INNER_(a, b)
#define PARITY_CONCAT_INNER_(a, b) a##b

#endif  // PARITY_PROTO_STATUS_STATUS_MACROS_H_
