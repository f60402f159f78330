// What a comparison found, in words and tables.
#ifndef PARITY_COLLECTOR_CLI_VERDICT_TEXT_H_
#define PARITY_COLLECTOR_CLI_VERDICT_TEXT_H_

#include <cstdint>
#include <string>

#include "collector/cli/console.h"
#include "collector/cli/table.h"
#include "parity/v1/collector.pb.h"

namespace parity::cli {

// What streaming over the rows showed beyond the summary.
struct RowTally {
  int64_t rows = 0;
  int64_t shadow_rows = 0;     // with measured_from: the candidate is a shadow capture
  int64_t single_op_rows = 0;  // of those, one op exactly

  void Count(const v1::ComparisonRow& row);
};

// "DIVERGED: layer.0.attn.q_rope ..." on one line.
std::string Headline(const v1::ComparisonSummary& summary);

// Headline, sides, coverage, first divergence, identity notes: one labelled line each. `markdown`:
// as a list.
std::string SummaryText(const v1::CompareRequest& request, const v1::ComparisonSummary& summary,
                        const RowTally& tally, const Console& console, bool markdown);

// Top-1 agreement, near-ties, KL: one line, or nothing when no logits were compared.
std::string LogitsText(const v1::ComparisonSummary& summary);

// One row a stage: the worst of it.
Table StageTable(const v1::ComparisonSummary& summary);

// Every row, filled by AddRow.
Table RowTable();
void AddRow(const v1::ComparisonRow& row, Table* table);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_VERDICT_TEXT_H_
