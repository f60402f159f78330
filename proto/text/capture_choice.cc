#include "proto/text/capture_choice.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace parity::text {

bool IsCaptureLevel(absl::string_view text) {
  return text == "logits" || text == "layers" || text == "full";
}

v1::CaptureSpec ParseCaptureChoice(absl::string_view text) {
  v1::CaptureSpec spec;
  if (IsCaptureLevel(text)) {
    spec.set_level(std::string(text));
    return spec;
  }
  for (const absl::string_view glob : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    spec.add_globs(std::string(absl::StripAsciiWhitespace(glob)));
  }
  return spec;
}

}  // namespace parity::text
