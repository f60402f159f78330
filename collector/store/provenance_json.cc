#include "collector/store/provenance_json.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"

namespace parity::store {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (status.ok()) return json;
  return absl::InvalidArgumentError(
      absl::StrCat("cannot be written as JSON: ",
                   std::string(status.message().data(), status.message().size())));
}

absl::StatusOr<v1::Provenance> ProvenanceFromJson(absl::string_view json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  v1::Provenance provenance;
  const auto status =
      google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, &provenance, options);
  if (status.ok()) return provenance;
  return absl::DataLossError(absl::StrCat(
      "no provenance as JSON: ", std::string(status.message().data(), status.message().size())));
}

absl::Status CheckSameProvenance(const v1::Provenance& stored, const v1::Provenance& now) {
  const auto same = [](const char* field, const std::string& a, const std::string& b) {
    if (a == b) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("the unsealed capture has ", field, " \"", a,
                                                      "\", this stream has \"", b,
                                                      "\"; delete it or use another name"));
  };
  RETURN_IF_ERROR(same("engine", stored.engine(), now.engine()));
  RETURN_IF_ERROR(same("engine_version", stored.engine_version(), now.engine_version()));
  RETURN_IF_ERROR(same("model_sha256", stored.model_sha256(), now.model_sha256()));
  RETURN_IF_ERROR(same("numerics", stored.numerics(), now.numerics()));
  RETURN_IF_ERROR(same("kv_type", stored.kv_type(), now.kv_type()));
  RETURN_IF_ERROR(same("attention", stored.attention(), now.attention()));
  RETURN_IF_ERROR(
      same("activation_precision", stored.activation_precision(), now.activation_precision()));
  RETURN_IF_ERROR(
      same("kind", v1::CaptureKind_Name(stored.kind()), v1::CaptureKind_Name(now.kind())));
  return same("shadow_of", stored.shadow_of(), now.shadow_of());
}

}  // namespace parity::store
