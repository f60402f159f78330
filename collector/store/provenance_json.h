// Provenance and summaries as JSON columns, so that json_extract() reaches them.
#ifndef PARITY_COLLECTOR_STORE_PROVENANCE_JSON_H_
#define PARITY_COLLECTOR_STORE_PROVENANCE_JSON_H_

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::store {

// Field names as in the .proto. Bytes that are not UTF-8 are left out: the wire lets none through,
// but a file's name may hold some.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

// Unknown fields are ignored. DATA_LOSS when it is not JSON, or a field's value is of another kind.
absl::StatusOr<v1::Provenance> ProvenanceFromJson(absl::string_view json);

// FAILED_PRECONDITION naming the first field in which two halves of one capture would differ in a
// way that matters.
absl::Status CheckSameProvenance(const v1::Provenance& stored, const v1::Provenance& now);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_PROVENANCE_JSON_H_
