#include "collector/cli/export_stream.h"

#include <memory>

#include "proto/status/status_macros.h"

namespace parity::cli {

absl::Status StreamExport(const v1::ExportRequest& request, Connection& collector,
                          std::ostream& out, const std::function<void(int64_t)>& on_bytes) {
  const auto context = collector.NewContext();
  const auto reader = collector.stub().Export(context.get(), request);
  for (v1::ExportResponse response; out.good() && reader->Read(&response);) {
    out.write(response.chunk().data(), static_cast<std::streamsize>(response.chunk().size()));
    if (on_bytes) on_bytes(static_cast<int64_t>(response.chunk().size()));
  }
  if (!out.good()) {
    context->TryCancel();
    reader->Finish().error_code();  // the cancelled call's own status says nothing new
    return absl::DataLossError("the output cannot be written");
  }
  return collector.Result(reader->Finish());
}

}  // namespace parity::cli
