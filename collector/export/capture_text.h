// A capture as text: the JSONL log that import reads, and statistics as CSV.
#ifndef PARITY_COLLECTOR_EXPORT_CAPTURE_TEXT_H_
#define PARITY_COLLECTOR_EXPORT_CAPTURE_TEXT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "collector/export/text_sink.h"
#include "collector/store/capture_reader.h"

namespace parity::exporter {

// One line a tensor, by position, then forward order. Imported again it gives the same bytes (a
// NaN's payload apart): values are the shortest decimals that read back the same, the shape has a
// leading batch axis of 1. At most `max_values` values a line; 0: all. A tensor of which less is
// written or stored keeps its whole shape. NOT_FOUND when the capture has tensors and the filter
// takes none.
absl::Status WriteCaptureJsonl(store::CaptureReader& reader, const store::RowFilter& filter,
                               int64_t max_values, TextSink& sink);

// One line a tensor with the statistics computed at ingest; they leave NaN and Inf out and are
// empty when nothing is finite.
absl::Status WriteCaptureCsv(store::CaptureReader& reader, const store::RowFilter& filter,
                             TextSink& sink);

}  // namespace parity::exporter

#endif  // PARITY_COLLECTOR_EXPORT_CAPTURE_TEXT_H_
