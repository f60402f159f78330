// What to capture, as people write it on a command line.
#ifndef PARITY_PROTO_TEXT_CAPTURE_CHOICE_H_
#define PARITY_PROTO_TEXT_CAPTURE_CHOICE_H_

#include "absl/strings/string_view.h"
#include "parity/v1/worker.pb.h"

namespace parity::text {

// "logits", "layers" or "full".
bool IsCaptureLevel(absl::string_view text);

// A level, or else globs with commas between them; spaces around a glob do not count. Whether a
// model has such checkpoints is not known here.
v1::CaptureSpec ParseCaptureChoice(absl::string_view text);

}  // namespace parity::text

#endif  // PARITY_PROTO_TEXT_CAPTURE_CHOICE_H_
