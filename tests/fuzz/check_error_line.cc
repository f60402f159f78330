#include <glog/logging.h>
#include <simdjson.h>

#include <cstdint>

#include "absl/strings/escaping.h"
#include "tests/fuzz/fuzz_target.h"

namespace parity::fuzz {

void CheckErrorLine(const absl::Status& status) {
  constexpr size_t kMaxBytes = 4096;
  CHECK(!status.ok());
  const absl::string_view message = status.message();
  CHECK(!message.empty() && message.size() <= kMaxBytes) << message.size() << " bytes";
  // A protobuf message with other bytes in a string does not reach its receiver.
  CHECK(simdjson::validate_utf8(message.data(), message.size())) << absl::CHexEscape(message);
  for (const char c : message) {
    const uint8_t byte = static_cast<uint8_t>(c);
    CHECK(byte >= 0x20 && byte != 0x7f) << "byte " << int{byte} << " in: " << message;
  }
}

}  // namespace parity::fuzz
