// A hostile line of a JSONL log: an error line, or fields that a line read before leaves alone.
#include <glog/logging.h>

#include <cstring>

#include "collector/importer/log_line.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_bound.h"

namespace parity::fuzz {

namespace {

using importer::LogLine;

bool SameFields(const LogLine& a, const LogLine& b) {
  return a.team == b.team && a.checkpoint == b.checkpoint && a.dtype == b.dtype &&
         a.position == b.position && a.input_token_id == b.input_token_id && a.shape == b.shape &&
         a.has_values == b.has_values && a.values.size() == b.values.size() &&
         (a.values.empty() ||
          std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0);
}

}  // namespace

const int kReplayedMutations = 20000;

std::vector<std::string> Seeds() {
  return {
      R"({"ts":1.5,"team":"t","checkpoint":"logits","token_idx":3,"dtype":"float32",)"
      R"("shape":"[1,4]","values":[1,-2.5,3e-2,0],"source":"x"})",
      R"({"shape":[1,2,2],"values":[[1,2],[3,4]],"position":1,"checkpoint":"embed","team":null})",
      R"({"checkpoint":"e","token_idx":"2","shape":"8","values":[ NaN , "NaN",Infinity,-Infinity,)"
      R"("inf","-inf",null,nan],"extra":{"a":[1,{"b":"}"}]},"token_id":7})",
      R"({"checkpoint":"l\u005fout-\ud83d\ude80\n","values":[[[1],[]],[[-0.0]]]} )",
      R"({"values":[3.4028235e38,1e-46,0.1234567890123456789,123456789012345678901234567890,1E5]})",
      R"({"values":[3.5e38]})",
      "{}",
      R"({"values":[1,2,3)",
      R"({"a":"\x"})",
      "{\"team\":\xff}",
      "{\"team\":\"t\"} 15 bytes, then:\u00e9"};
}

void RunOne(absl::string_view input) {
  const MemoryBound bound(input.size());
  LogLine fresh;
  const absl::Status status = importer::ParseLogLine(input, &fresh);
  if (!status.ok()) CheckErrorLine(status);
  // A number takes a byte of text and a comma at least.
  CHECK_LE(fresh.values.size(), input.size() / 2);
  static auto* used = new LogLine;
  const absl::Status again = importer::ParseLogLine(input, used);
  CHECK_EQ(again, status);
  CHECK(SameFields(fresh, *used));
}

}  // namespace parity::fuzz
