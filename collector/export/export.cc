#include "collector/export/export.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "collector/compare/alignment.h"
#include "collector/compare/comparison.h"
#include "collector/export/capture_text.h"
#include "collector/export/diff_text.h"
#include "collector/export/text_sink.h"
#include "proto/status/status_macros.h"

namespace parity::exporter {
namespace {

absl::Status ExportDiffJsonl(store::CaptureStore& store, const v1::CompareRequest& request,
                             TextSink& sink) {
  v1::ComparisonSummary summary;
  return compare::CompareCaptures(
      store, request,
      [&](const v1::ComparisonRow& row) {
        WriteDiffJson(row, sink);
        return sink.EndLine();
      },
      &summary);
}

absl::Status ExportDiffCsv(store::CaptureStore& store, const v1::CompareRequest& request,
                           TextSink& sink) {
  sink.Text(DiffCsvHeader());
  RETURN_IF_ERROR(sink.EndLine());
  v1::ComparisonSummary summary;
  return compare::CompareCaptures(
      store, request,
      [&](const v1::ComparisonRow& row) {
        WriteDiffCsv(row, sink);
        return sink.EndLine();
      },
      &summary);
}

// What the older report says of one token: over all checkpoints compared, and all their elements.
struct TokenReport {
  double max_abs = 0;
  double abs_sum = 0;
  int64_t elements = 0;
};

absl::Status ExportParityCsv(store::CaptureStore& store, const v1::CompareRequest& request,
                             TextSink& sink) {
  std::map<int32_t, TokenReport> tokens;
  v1::ComparisonSummary summary;
  RETURN_IF_ERROR(compare::CompareCaptures(
      store, request,
      [&](const v1::ComparisonRow& row) {
        // A row without a finite pair has no difference to report.
        if (row.elements() == 0 || std::isnan(row.mean_abs())) return absl::OkStatus();
        TokenReport& token = tokens[row.position()];
        token.max_abs = std::max(token.max_abs, row.max_abs());
        token.abs_sum += row.mean_abs() * static_cast<double>(row.elements());
        token.elements += row.elements();
        return absl::OkStatus();
      },
      &summary));
  const std::string& candidate_run =
      request.candidate_run().empty() ? request.run() : request.candidate_run();
  ASSIGN_OR_RETURN(const auto reference, store.OpenCapture(request.run(), request.reference()));
  ASSIGN_OR_RETURN(const auto candidate, store.OpenCapture(candidate_run, request.candidate()));
  const int64_t compared =
      summary.match() + summary.drift() + summary.diverged() + summary.invalid();
  const std::string globs =
      request.checkpoints().empty() ? "*" : absl::StrJoin(request.checkpoints(), " ");
  sink.Text(absl::StrCat(
      "# reference_team: ", request.reference(), "\n# candidate_team: ", request.candidate(),
      "\n# reference_entries: ", reference->capture().tensors(),
      "\n# candidate_entries: ", candidate->capture().tensors(), "\n# compared_entries: ", compared,
      "\n# unmatched_entries: ", summary.unmeasured(),
      "\n# not_comparable_entries: ", summary.not_comparable(), "\n# checkpoints: ", globs, "\n"));
  sink.Text("token_idx,max_abs_diff,mean_abs_diff,reference_team,candidate_team");
  RETURN_IF_ERROR(sink.EndLine());
  for (const auto& [position, token] : tokens) {
    sink.Text(absl::StrFormat("%d,%.6e,%.6e,", position, token.max_abs,
                              token.abs_sum / static_cast<double>(token.elements)));
    sink.CsvField(request.reference());
    sink.Text(",");
    sink.CsvField(request.candidate());
    RETURN_IF_ERROR(sink.EndLine());
  }
  return absl::OkStatus();
}

absl::Status ExportCapture(store::CaptureStore& store, const v1::ExportRequest& request,
                           TextSink& sink) {
  if (request.max_values() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_values ", request.max_values(), ", expected 0 or more"));
  }
  ASSIGN_OR_RETURN(const auto reader,
                   store.OpenCapture(request.compare().run(), request.compare().reference()));
  ASSIGN_OR_RETURN(store::RowFilter filter, compare::SelectRows(*reader, request.compare()));
  if (request.format() == v1::ExportRequest::FORMAT_CAPTURE_CSV) {
    return WriteCaptureCsv(*reader, filter, sink);
  }
  filter.columns = store::RowFilter::Columns::kShape;
  return WriteCaptureJsonl(*reader, filter, request.max_values(), sink);
}

}  // namespace

absl::Status Export(store::CaptureStore& store, const v1::ExportRequest& request,
                    const ChunkCallback& on_chunk) {
  TextSink sink(on_chunk);
  absl::Status status;
  switch (request.format()) {
    case v1::ExportRequest::FORMAT_DIFF_JSONL:
      status = ExportDiffJsonl(store, request.compare(), sink);
      break;
    case v1::ExportRequest::FORMAT_DIFF_CSV:
      status = ExportDiffCsv(store, request.compare(), sink);
      break;
    case v1::ExportRequest::FORMAT_PARITY_CSV:
      status = ExportParityCsv(store, request.compare(), sink);
      break;
    case v1::ExportRequest::FORMAT_CAPTURE_JSONL:
    case v1::ExportRequest::FORMAT_CAPTURE_CSV:
      status = ExportCapture(store, request, sink);
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("export format ", static_cast<int>(request.format()), " is not known"));
  }
  RETURN_IF_ERROR(status);
  return sink.Finish();
}

}  // namespace parity::exporter
