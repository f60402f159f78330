#include "collector/cli/proto_json.h"

#include <google/protobuf/descriptor.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace parity::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::ordered_json;

ordered_json MessageJson(const Message& message);

ordered_json FiniteOrNull(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value;
}

// `index` < 0 for a singular field.
ordered_json FieldJson(const Message& m, const FieldDescriptor* f, int index) {
  const Reflection& r = *m.GetReflection();
  const bool one = index < 0;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? r.GetInt32(m, f) : r.GetRepeatedInt32(m, f, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? r.GetInt64(m, f) : r.GetRepeatedInt64(m, f, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? r.GetUInt32(m, f) : r.GetRepeatedUInt32(m, f, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? r.GetUInt64(m, f) : r.GetRepeatedUInt64(m, f, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return FiniteOrNull(one ? r.GetFloat(m, f) : r.GetRepeatedFloat(m, f, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return FiniteOrNull(one ? r.GetDouble(m, f) : r.GetRepeatedDouble(m, f, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? r.GetBool(m, f) : r.GetRepeatedBool(m, f, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return ShortEnumName(*f->enum_type(),
                           one ? r.GetEnumValue(m, f) : r.GetRepeatedEnumValue(m, f, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return one ? r.GetString(m, f) : r.GetRepeatedString(m, f, index);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(one ? r.GetMessage(m, f) : r.GetRepeatedMessage(m, f, index));
  }
  return nullptr;
}

ordered_json MapJson(const Message& m, const FieldDescriptor* f) {
  const Reflection& r = *m.GetReflection();
  std::map<std::string, ordered_json> sorted;  // protobuf's map has no order of its own
  for (int i = 0; i < r.FieldSize(m, f); ++i) {
    const Message& entry = r.GetRepeatedMessage(m, f, i);
    const auto& type = *entry.GetDescriptor();
    const ordered_json key = FieldJson(entry, type.map_key(), -1);
    sorted[key.is_string() ? key.get<std::string>() : key.dump()] =
        FieldJson(entry, type.map_value(), -1);
  }
  ordered_json object = ordered_json::object();
  for (auto& [key, value] : sorted) object[key] = std::move(value);
  return object;
}

ordered_json MessageJson(const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  ordered_json object = ordered_json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_map()) {
      object[field->name()] = MapJson(message, field);
    } else if (field->is_repeated()) {
      ordered_json array = ordered_json::array();
      for (int j = 0; j < reflection.FieldSize(message, field); ++j) {
        array.push_back(FieldJson(message, field, j));
      }
      object[field->name()] = std::move(array);
    } else if (!field->has_presence() || reflection.HasField(message, field)) {
      object[field->name()] = FieldJson(message, field, -1);
    }
  }
  return object;
}

}  // namespace

std::string ToJson(const Message& message, int indent) {
  return MessageJson(message).dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

std::string ShortEnumName(const google::protobuf::EnumDescriptor& type, int value) {
  const auto* descriptor = type.FindValueByNumber(value);
  if (descriptor == nullptr) return absl::StrCat(value);
  // DType -> DTYPE_, RowVerdict -> ROW_VERDICT_: what the zero value is called without UNSPECIFIED.
  absl::string_view prefix = type.value(0)->name();
  if (!absl::ConsumeSuffix(&prefix, "UNSPECIFIED")) return descriptor->name();
  return std::string(absl::StripPrefix(descriptor->name(), prefix));
}

}  // namespace parity::cli
