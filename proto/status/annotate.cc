#include "proto/status/annotate.h"

#include "absl/strings/str_cat.h"

namespace parity {

absl::Status Annotate(const absl::Status& status, absl::string_view subject) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(subject, ": ", status.message()));
}

}  // namespace parity
