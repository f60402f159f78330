#include "collector/importer/log_line.h"

#include "absl/strings/str_cat.h"
#include "collector/importer/json_cursor.h"
#include "proto/status/status_macros.h"

namespace parity::importer {
namespace {

constexpr int kMaxDepth = 8;     // of nested value arrays; a batch of a sequence of heads is 4
constexpr size_t kMaxSizes = 5;  // a batch axis before the wire's 4

// "[1,151936]" or a JSON array of sizes.
absl::Status ReadShape(JsonCursor& cursor, std::vector<int64_t>* shape) {
  shape->clear();
  cursor.SkipSpace();
  if (cursor.Peek() == '"') {
    std::string text;
    RETURN_IF_ERROR(cursor.ReadString(&text));
    JsonCursor inner(text);
    inner.SkipSpace();
    // "151936" without brackets is taken too.
    if (inner.Peek() != '[') {
      shape->push_back(0);
      RETURN_IF_ERROR(inner.ReadInt(&shape->front()));
    } else {
      RETURN_IF_ERROR(ReadShape(inner, shape));
    }
    inner.SkipSpace();
    return inner.AtEnd() ? absl::OkStatus() : inner.Error("the end of the shape");
  }
  RETURN_IF_ERROR(cursor.Expect('['));
  if (cursor.Take(']')) return absl::OkStatus();
  do {
    if (shape->size() == kMaxSizes) return cursor.Error("at most 5 sizes");
    int64_t size = 0;
    RETURN_IF_ERROR(cursor.ReadInt(&size));
    shape->push_back(size);
  } while (cursor.Take(','));
  return cursor.Expect(']');
}

// A list of numbers, nested or not, flattened.
absl::Status ReadValues(JsonCursor& cursor, std::vector<float>* values) {
  RETURN_IF_ERROR(cursor.Expect('['));
  int depth = 1;
  for (bool first = true;; first = false) {
    bool opened = first;
    for (; cursor.Take('['); opened = true) {
      if (++depth > kMaxDepth) return cursor.Error("at most 8 nested arrays");
    }
    if (!opened || cursor.Peek() != ']') {  // only a new array may be empty
      if (cursor.ReadFloatRun(values) && cursor.Peek() == '[') continue;
      float value = 0;
      RETURN_IF_ERROR(cursor.ReadFloat(&value));
      values->push_back(value);
    }
    while (depth > 0 && cursor.Take(']')) --depth;
    if (depth == 0) return absl::OkStatus();
    RETURN_IF_ERROR(cursor.Expect(','));
    cursor.SkipSpace();
  }
}

absl::Status ReadField(absl::string_view key, JsonCursor& cursor, LogLine* line) {
  if (cursor.TakeNull()) return absl::OkStatus();
  if (key == "values") {
    line->values.clear();
    line->has_values = true;
    return ReadValues(cursor, &line->values);
  }
  if (key == "checkpoint") return cursor.ReadString(&line->checkpoint);
  if (key == "team") return cursor.ReadString(&line->team);
  if (key == "dtype") return cursor.ReadString(&line->dtype);
  if (key == "token_idx" || key == "position") return cursor.ReadInt(&line->position);
  if (key == "token_id" || key == "input_token_id") return cursor.ReadInt(&line->input_token_id);
  if (key == "shape") return ReadShape(cursor, &line->shape);
  return cursor.Skip();
}

}  // namespace

void LogLine::Clear() {
  team.clear();
  checkpoint.clear();
  dtype.clear();
  position = -1;
  input_token_id = -1;
  shape.clear();
  values.clear();
  has_values = false;
}

absl::Status ParseLogLine(absl::string_view text, LogLine* line) {
  line->Clear();
  JsonCursor cursor(text);
  RETURN_IF_ERROR(cursor.Expect('{'));
  std::string key;
  if (!cursor.Take('}')) {
    do {
      RETURN_IF_ERROR(cursor.ReadString(&key));
      RETURN_IF_ERROR(cursor.Expect(':'));
      RETURN_IF_ERROR(ReadField(key, cursor, line));
    } while (cursor.Take(','));
    RETURN_IF_ERROR(cursor.Expect('}'));
  }
  cursor.SkipSpace();
  return cursor.AtEnd() ? absl::OkStatus() : cursor.Error("the end of the line");
}

}  // namespace parity::importer
