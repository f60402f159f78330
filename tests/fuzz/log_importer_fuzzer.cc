// A hostile JSONL log: every line is stored or counted, however the bytes are split, and what the
// answer says is stored is there.
//
// The input's first byte holds the options, the second the size of the pieces; the rest is the log.
#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "collector/importer/log_importer.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_bound.h"
#include "tests/fuzz/scratch_store.h"

namespace parity::fuzz {

namespace {

constexpr char kRun[] = "run";

absl::StatusOr<v1::ImportResponse> Import(const v1::ImportOptions& options, absl::string_view log,
                                          size_t piece_bytes) {
  const auto importer = importer::LogImporter::Create(&ScratchStore(), options);
  CHECK(importer.ok()) << importer.status();
  for (size_t at = 0; at < log.size(); at += piece_bytes) {
    const absl::Status fed = (*importer)->Feed(log.substr(at, piece_bytes));
    if (!fed.ok()) return fed;
  }
  return (*importer)->Finish();
}

int64_t StoredTensors() {
  const auto run = ScratchStore().GetRun(kRun);
  CHECK(run.ok()) << run.status();
  int64_t tensors = 0;
  for (const v1::Capture& capture : run->captures()) {
    CHECK_EQ(capture.status(), v1::CAPTURE_STATUS_COMPLETE);
    tensors += capture.tensors();
  }
  return tensors;
}

// Lines that hold anything; a byte order mark may stand before the first.
int64_t LinesWithText(absl::string_view log) {
  absl::ConsumePrefix(&log, "\xef\xbb\xbf");
  int64_t lines = 0;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    if (line.find_first_not_of(" \t\r") != absl::string_view::npos) ++lines;
  }
  return lines;
}

void CheckAnswer(const v1::ImportResponse& answer, absl::string_view log) {
  CHECK_EQ(answer.bytes(), static_cast<int64_t>(log.size()));
  // A damaged line may hold a whole record at its end: both count.
  const int64_t counted = answer.tensors() + answer.superseded() + answer.damaged();
  CHECK_GE(counted, LinesWithText(log));
  CHECK_LE(counted, 2 * LinesWithText(log));
  CHECK_GT(answer.tensors(), 0);
  CHECK_EQ(StoredTensors(), answer.tensors());
  for (const std::string& damage : answer.damage()) {
    CheckErrorLine(absl::InvalidArgumentError(damage));
  }
}

std::string Seed(char options, char piece_bytes, absl::string_view log) {
  return absl::StrCat(std::string({options, piece_bytes}), log);
}

}  // namespace

const int kReplayedMutations = 200;  // each waits for commits

std::vector<std::string> Seeds() {
  const std::string first =
      R"({"ts":1.5,"team":"t","checkpoint":"logits","token_idx":3,"dtype":"float32",)"
      R"("shape":"[1,4]","values":[1,-2.5,3e-2,0],"source":"x"})"
      "\n";
  const std::string second =
      R"({"team":"u","checkpoint":"l_out-7","position":1,"token_id":42,"values":[[1],[NaN]]})"
      "\r\n";
  const std::string half = R"({"team":"t","checkpoint":"model.layers.3","dtype":"float16","val)";
  return {Seed(0, 9, first + second + first),
          Seed(1, 1, first + half + second),
          Seed(2, 40, "\xef\xbb\xbf" + first + "\n \r\n" + half + "\n" + second),
          Seed(0, 7,
               second + R"({"team":"t","checkpoint":"e","token_idx":0,"shape":[3],)"
                        R"("values":["inf",null]})"),
          Seed(3, 100, R"({"checkpoint":"a/b","token_idx":-1,"values":[]})"),
          Seed(2, 3,
               R"({"checkpoint":"embed","token_idx":0,"shape":"[2,2]","dtype":"bfloat16",)"
               R"("values":[1,2,3]})")};
}

void RunOne(absl::string_view input) {
  if (input.size() < 2) return;
  ScratchStore();
  v1::ImportOptions options;
  options.set_run(kRun);
  options.set_source_name("x.jsonl");
  options.set_strict(input[0] & 1);
  options.set_replace(true);
  if (input[0] & 2) options.set_team("given");
  const size_t piece_bytes = std::max<size_t>(1, static_cast<uint8_t>(input[1]));
  const absl::string_view log = input.substr(2);
  {
    const MemoryBound bound(input.size());
    const auto whole = Import(options, log, std::max<size_t>(1, log.size()));
    if (whole.ok()) {
      CheckAnswer(*whole, log);
    } else {
      CheckErrorLine(whole.status());
    }
    const auto pieces = Import(options, log, piece_bytes);
    CHECK_EQ(pieces.status(), whole.status());
    if (whole.ok()) CHECK_EQ(pieces->SerializeAsString(), whole->SerializeAsString());
  }
  EmptyScratchStore();
}

}  // namespace parity::fuzz
