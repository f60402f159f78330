#include "collector/cli/capture_table.h"

#include <string>
#include <utility>
#include <vector>

#include "collector/cli/proto_json.h"
#include "collector/cli/text.h"

namespace parity::cli {
namespace {

Cell TextOrMissing(const std::string& text) {
  return text.empty() ? Cell::Missing() : Cell::Text(text);
}

std::string KindName(v1::CaptureKind kind) {
  return kind == v1::CAPTURE_KIND_SHADOW ? "shadow" : "free";
}

}  // namespace

Table CaptureTable(const google::protobuf::RepeatedPtrField<v1::Run>& runs) {
  Table table({{"run", "run", false, true},
               {"created", "created (UTC)", false, false, 1},
               {"team", "team", false, true},
               {"status", "status"},
               {"engine", "engine", false, true, 2},
               {"kind", "kind"},
               {"positions", "tokens", true},
               {"checkpoints", "checkpoints", true, false, 4},
               {"tensors", "tensors", true},
               {"bytes", "size", true, false, 3},
               {"dropped", "dropped", true},
               {"non_finite", "NaN/Inf", true}});
  for (const v1::Run& run : runs) {
    const Cell created =
        run.created_at_nanos() == 0 ? Cell::Missing() : Cell::Text(UtcTime(run.created_at_nanos()));
    if (run.captures_size() == 0) {
      std::vector<Cell> cells = {Cell::Text(run.name()), created};
      cells.resize(12, Cell::Missing());
      table.AddRow(std::move(cells));
    }
    for (const v1::Capture& capture : run.captures()) {
      table.AddRow({Cell::Text(run.name()), created, Cell::Text(capture.team()),
                    Cell::Text(ShortName(capture.status())),
                    TextOrMissing(capture.provenance().engine()),
                    Cell::Text(KindName(capture.provenance().kind())),
                    Cell::Int(capture.positions()), Cell::Int(capture.checkpoints()),
                    Cell::Int(capture.tensors()), Cell::Bytes(capture.bytes()),
                    Cell::Int(capture.counts().dropped()), Cell::Int(capture.non_finite())});
    }
  }
  return table;
}

}  // namespace parity::cli
