// Says whose error it is.
#ifndef PARITY_PROTO_STATUS_ANNOTATE_H_
#define PARITY_PROTO_STATUS_ANNOTATE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace parity {

// Same code; message becomes "<subject>: <message>". OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view subject);

}  // namespace parity

#endif  // PARITY_PROTO_STATUS_ANNOTATE_H_
