#include "collector/cli/verdict_text.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "collector/cli/proto_json.h"
#include "collector/cli/text.h"

namespace parity::cli {
namespace {

constexpr int kLabelWidth = 12;

bool Measured(const v1::ComparisonRow& row) {
  return row.verdict() == v1::ROW_VERDICT_MATCH || row.verdict() == v1::ROW_VERDICT_DRIFT ||
         row.verdict() == v1::ROW_VERDICT_DIVERGED || row.verdict() == v1::ROW_VERDICT_INVALID;
}

// "98.7 %", never rounded up to a whole.
std::string Percent(double share) {
  if (share >= 1) return "100 %";
  return absl::StrFormat("%.1f %%", std::floor(share * 1000) / 10);
}

std::string RowText(const v1::ComparisonRow& row) {
  std::string text = absl::StrCat("position ", row.position(), ", ", Printable(row.checkpoint()),
                                  " (", ShortName(row.verdict()), ")");
  if (std::isnan(row.nmse())) return absl::StrCat(text, ": ", Printable(row.reason()));
  absl::StrAppend(&text, ": nmse ", ShortNumber(row.nmse()));
  if (row.floor_nmse() > 0 && row.reason().empty()) {  // a reason says how far already
    absl::StrAppend(&text, ", ", ShortNumber(row.floor_multiples()), " x floor");
  }
  absl::StrAppend(&text, ", max abs ", ShortNumber(row.max_abs()), " at element ",
                  row.max_abs_index(), " (reference ", ShortNumber(row.reference_at_max()),
                  ", candidate ", ShortNumber(row.candidate_at_max()), ")");
  if (!row.reason().empty()) absl::StrAppend(&text, "; ", Printable(row.reason()));
  if (!row.measured_from().empty()) {
    absl::StrAppend(&text, "; measured from ", Printable(row.measured_from()));
  }
  return text;
}

std::string SideText(const std::string& run, const std::string& team, v1::CaptureStatus status) {
  std::string text = absl::StrCat(Printable(run), "/", Printable(team));
  if (status != v1::CAPTURE_STATUS_COMPLETE) absl::StrAppend(&text, " (", ShortName(status), ")");
  return text;
}

std::string CountsText(const v1::ComparisonSummary& summary) {
  const std::pair<const char*, int64_t> counts[] = {
      {"match", summary.match()},           {"drift", summary.drift()},
      {"diverged", summary.diverged()},     {"invalid", summary.invalid()},
      {"unmeasured", summary.unmeasured()}, {"not comparable", summary.not_comparable()}};
  std::string text = absl::StrCat(Percent(summary.coverage()), " of the rows measured: ");
  bool first = true;
  for (const auto& [name, count] : counts) {
    if (count == 0 && name != counts[0].first) continue;
    absl::StrAppend(&text, first ? "" : ", ", count, " ", name);
    first = false;
  }
  return text;
}

std::string ShadowText(const RowTally& tally) {
  std::string text =
      "each row is one op's own error: what our op makes of the recorded inputs, against what was "
      "recorded";
  const int64_t stretches = tally.shadow_rows - tally.single_op_rows;
  if (stretches > 0) {
    absl::StrAppend(&text, "; ", stretches, " of ", tally.shadow_rows,
                    " rows cover several ops, since the last recorded checkpoints");
  }
  return text;
}

}  // namespace

void RowTally::Count(const v1::ComparisonRow& row) {
  ++rows;
  if (row.measured_from().empty()) return;
  ++shadow_rows;
  single_op_rows += row.single_op();
}

std::string Headline(const v1::ComparisonSummary& summary) {
  std::string text = ShortName(summary.verdict());
  if (!summary.reason().empty()) absl::StrAppend(&text, ": ", Printable(summary.reason()));
  return text;
}

std::string SummaryText(const v1::CompareRequest& request, const v1::ComparisonSummary& summary,
                        const RowTally& tally, const Console& console, bool markdown) {
  std::vector<std::pair<std::string, std::string>> lines;
  const std::string verdict = ShortName(summary.verdict());
  lines.emplace_back("verdict", markdown ? verdict : console.Verdict(verdict));
  if (!summary.reason().empty()) lines.emplace_back("why", Printable(summary.reason()));
  lines.emplace_back("reference",
                     SideText(request.run(), request.reference(), summary.reference_status()));
  lines.emplace_back(
      "candidate",
      SideText(request.candidate_run().empty() ? request.run() : request.candidate_run(),
               request.candidate(), summary.candidate_status()));
  if (tally.shadow_rows > 0) lines.emplace_back("shadow run", ShadowText(tally));
  if (summary.has_first_divergence()) {
    lines.emplace_back("first", RowText(summary.first_divergence()));
  } else if (summary.bit_identical() && Measured(summary.worst())) {
    lines.emplace_back("bits", "every compared value is equal to the bit");
  } else if (summary.has_worst()) {
    lines.emplace_back("worst", RowText(summary.worst()));
  }
  if (summary.has_first_token_mismatch()) {
    lines.emplace_back(
        "tokens", absl::StrCat("the input ids part at position ", summary.first_token_mismatch(),
                               "; from there on nothing is comparable"));
  }
  lines.emplace_back("coverage", CountsText(summary));
  lines.emplace_back("profile", Printable(summary.profile()));
  for (const std::string& note : summary.identity()) {
    lines.emplace_back("identity", Printable(note));
  }
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto& [label, text] = lines[i];
    if (markdown) {
      absl::StrAppend(&out, "- **", label, "**: ", text, "\n");
      continue;
    }
    const bool repeated = i > 0 && lines[i - 1].first == label;
    const std::string shown = repeated ? "" : label;
    absl::StrAppend(&out, shown, std::string(kLabelWidth - shown.size(), ' '), text, "\n");
  }
  return out;
}

std::string LogitsText(const v1::ComparisonSummary& summary) {
  const int64_t positions = summary.logit_positions();
  if (positions == 0) return "";
  const int64_t differing = positions - summary.top1_matches();
  std::string text = absl::StrCat("logits: top-1 equal at ", summary.top1_matches(), " of ",
                                  positions, " positions");
  if (differing > 0) {
    absl::StrAppend(&text, " (of the ", differing, " others ", summary.near_ties(), " near-ties)");
  }
  absl::StrAppend(&text, "; KL mean ", ShortNumber(summary.mean_kl()), ", max ",
                  ShortNumber(summary.max_kl()), " nats; nmse mean ",
                  ShortNumber(summary.mean_logits_nmse()), ", max ",
                  ShortNumber(summary.max_logits_nmse()));
  return absl::StrCat(text, "\n");
}

Table StageTable(const v1::ComparisonSummary& summary) {
  Table table({{"stage", "stage", false, true},
               {"rows", "rows", true},
               {"worst_layer", "worst layer", true},
               {"worst_position", "position", true},
               {"mean_nmse", "mean nmse", true, false, 2},
               {"worst_nmse", "worst nmse", true},
               {"floor_nmse", "floor", true, false, 1},
               {"floor_multiples", "x floor", true},
               {"verdict", "verdict"}});
  for (const v1::StageSummary& stage : summary.stages()) {
    const bool some = stage.rows() > 0;
    const auto number = [some](double x) { return some ? Cell::Number(x) : Cell::Missing(); };
    const bool floor = some && stage.floor_nmse() > 0;
    table.AddRow(
        {Cell::Text(stage.stage()), Cell::Int(stage.rows()),
         stage.worst_layer() < 0 || !some ? Cell::Missing() : Cell::Int(stage.worst_layer()),
         some ? Cell::Int(stage.worst_position()) : Cell::Missing(), number(stage.mean_nmse()),
         number(stage.worst_nmse()), floor ? Cell::Number(stage.floor_nmse()) : Cell::Missing(),
         floor ? Cell::Number(stage.worst_nmse() / stage.floor_nmse()) : Cell::Missing(),
         Cell::Text(ShortName(stage.verdict()))});
  }
  return table;
}

Table RowTable() {
  return Table({{"position", "position", true},
                {"checkpoint", "checkpoint", false, true},
                {"verdict", "verdict"},
                {"nmse", "nmse", true},
                {"floor_multiples", "x floor", true},
                {"max_abs", "max abs", true},
                {"mean_abs", "mean abs", true, false, 2},
                {"cosine", "cosine", true, false, 1},
                {"reason", "why", false, true}});
}

void AddRow(const v1::ComparisonRow& row, Table* table) {
  const bool measured = Measured(row);
  const auto number = [measured](double x) { return measured ? Cell::Number(x) : Cell::Missing(); };
  const std::string why =
      row.reason().empty() || row.measured_from().empty()
          ? absl::StrCat(row.reason(), row.measured_from().empty() ? "" : "from ",
                         row.measured_from())
          : absl::StrCat(row.reason(), "; from ", row.measured_from());
  table->AddRow({Cell::Int(row.position()), Cell::Text(row.checkpoint()),
                 Cell::Text(ShortName(row.verdict())), number(row.nmse()),
                 row.floor_nmse() > 0 ? number(row.floor_multiples()) : Cell::Missing(),
                 number(row.max_abs()), number(row.mean_abs()), number(row.cosine()),
                 Cell::Text(why)});
}

}  // namespace parity::cli
