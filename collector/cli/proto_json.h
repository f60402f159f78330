// Messages as JSON for scripts.
#ifndef PARITY_COLLECTOR_CLI_PROTO_JSON_H_
#define PARITY_COLLECTOR_CLI_PROTO_JSON_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>

namespace parity::cli {

// Differs from protobuf's own mapping where scripts are better served: field names as in the
// .proto, 64-bit integers as numbers, enums without their prefix ("PARITY"), bytes as text (invalid
// UTF-8 replaced), non-finite doubles as null. Fields with presence appear only when set; the
// others always. indent < 0: one line. No line break at the end.
std::string ToJson(const google::protobuf::Message& message, int indent = -1);

// "PARITY" for VERDICT_PARITY; the number for a value this build does not know.
std::string ShortEnumName(const google::protobuf::EnumDescriptor& type, int value);
template <typename Enum>
std::string ShortName(Enum value) {
  return ShortEnumName(*google::protobuf::GetEnumDescriptor<Enum>(), value);
}

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_PROTO_JSON_H_
