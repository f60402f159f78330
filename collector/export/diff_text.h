// One comparison row as a line of JSON or CSV. The fields and their order are a public interface.
#ifndef PARITY_COLLECTOR_EXPORT_DIFF_TEXT_H_
#define PARITY_COLLECTOR_EXPORT_DIFF_TEXT_H_

#include "absl/strings/string_view.h"
#include "collector/export/text_sink.h"
#include "parity/v1/collector.pb.h"

namespace parity::exporter {

// "MATCH", "DIVERGED" ...
absl::string_view RowVerdictName(v1::RowVerdict verdict);

// A row that was not measured has no metrics at all; a metric that is not finite (a reference that
// is all zero) is null, and the reason says so. NaN and Inf of the tensors are counts.
void WriteDiffJson(const v1::ComparisonRow& row, TextSink& sink);

// The CSV header line, without its end.
absl::string_view DiffCsvHeader();
// Fields that were not measured are empty.
void WriteDiffCsv(const v1::ComparisonRow& row, TextSink& sink);

}  // namespace parity::exporter

#endif  // PARITY_COLLECTOR_EXPORT_DIFF_TEXT_H_
