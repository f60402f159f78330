// Writes captures and comparisons as text: the formats of v1::ExportRequest.
#ifndef PARITY_COLLECTOR_EXPORT_EXPORT_H_
#define PARITY_COLLECTOR_EXPORT_EXPORT_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "collector/store/capture_store.h"
#include "parity/v1/collector.pb.h"

namespace parity::exporter {

// Receives the text in pieces of at most 1 MiB, split anywhere. A status that is not OK ends
// the export.
using ChunkCallback = std::function<absl::Status(absl::string_view)>;

// Writes what `request` asks for. Same store contents and request, same bytes: rows by position,
// then forward order; no row ids, no times. Errors: INVALID_ARGUMENT (format, max_values),
// NOT_FOUND (run, team), those of CompareCaptures.
absl::Status Export(store::CaptureStore& store, const v1::ExportRequest& request,
                    const ChunkCallback& on_chunk);

}  // namespace parity::exporter

#endif  // PARITY_COLLECTOR_EXPORT_EXPORT_H_
