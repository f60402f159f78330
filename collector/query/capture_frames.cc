#include "collector/query/capture_frames.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "proto/status/status_macros.h"

namespace parity::query {
namespace {

constexpr int64_t kFrameBytes = 512
                                << 10;  // 64-600 KiB messages pass gRPC fastest (facts/platform)

v1::Frame FrameOf(const v1::TokenRecord& token) {
  v1::Frame frame;
  frame.set_position(token.position());
  frame.set_input_token_id(token.input_token_id());
  frame.set_phase(token.phase());
  if (token.has_chosen_token_id()) frame.set_chosen_token_id(token.chosen_token_id());
  frame.set_chosen_text(token.chosen_text());
  return frame;
}

absl::StatusOr<store::RowFilter> FilterOf(const store::CaptureReader& reader,
                                          const v1::ReadCaptureRequest& request) {
  ASSIGN_OR_RETURN(store::RowFilter filter,
                   store::SelectRows(reader.checkpoints(), request.first_position(),
                                     std::numeric_limits<int32_t>::max(), request.checkpoints()));
  filter.columns = store::RowFilter::Columns::kShape;
  return filter;
}

// The token records by position, with one for every position that has tensors only.
std::vector<v1::TokenRecord> WithAllPositions(std::vector<v1::TokenRecord> tokens,
                                              const std::vector<store::TensorRow>& rows) {
  std::vector<v1::TokenRecord> all;
  size_t next = 0;
  for (const store::TensorRow& row : rows) {
    while (next < tokens.size() && tokens[next].position() <= row.position) {
      all.push_back(std::move(tokens[next++]));
    }
    if (!all.empty() && all.back().position() == row.position) continue;
    all.emplace_back().set_position(row.position);
    all.back().set_input_token_id(-1);
  }
  while (next < tokens.size()) all.push_back(std::move(tokens[next++]));
  return all;
}

}  // namespace

absl::Status ReadFrames(const store::CaptureStore& store, const v1::ReadCaptureRequest& request,
                        const FrameCallback& on_frame) {
  ASSIGN_OR_RETURN(const std::unique_ptr<store::CaptureReader> reader,
                   store.OpenCapture(request.run(), request.team()));
  ASSIGN_OR_RETURN(const store::RowFilter filter, FilterOf(*reader, request));
  ASSIGN_OR_RETURN(const std::vector<store::TensorRow> rows, reader->ReadTensors(filter));
  ASSIGN_OR_RETURN(std::vector<v1::TokenRecord> tokens, reader->ReadTokens());
  tokens = WithAllPositions(std::move(tokens), rows);
  auto row = rows.begin();
  for (const v1::TokenRecord& token : tokens) {
    if (token.position() < request.first_position()) continue;
    v1::Frame frame = FrameOf(token);
    int64_t bytes = 0;
    for (; row != rows.end() && row->position == token.position(); ++row) {
      if (bytes > 0 && bytes + row->bytes > kFrameBytes) {
        RETURN_IF_ERROR(on_frame(frame));
        frame.clear_tensors();
        bytes = 0;
      }
      ASSIGN_OR_RETURN(*frame.add_tensors(), reader->ToTensor(*row, !request.without_data()));
      bytes += row->bytes;
    }
    RETURN_IF_ERROR(on_frame(frame));
  }
  return absl::OkStatus();
}

}  // namespace parity::query
