#include "collector/export/diff_text.h"

#include <cstdint>

#include "absl/strings/strip.h"
#include "collector/store/row_verdict.h"
#include "proto/checkpoint/name.h"

namespace parity::exporter {
namespace {

// Visits every metric in the order of the columns. `present` tells whether the row has it.
template <typename Number, typename Int, typename Bool>
void VisitMetrics(const v1::ComparisonRow& row, Number number, Int integer, Bool boolean) {
  const bool m = store::IsMeasured(row.verdict()), g = row.has_kl_divergence();
  integer("elements", row.elements(), m);
  number("max_abs", row.max_abs(), m);
  integer("max_abs_index", row.max_abs_index(), m);
  number("reference_at_max", row.reference_at_max(), m);
  number("candidate_at_max", row.candidate_at_max(), m);
  number("mean_abs", row.mean_abs(), m);
  number("rmse", row.rmse(), m);
  number("nmse", row.nmse(), m);
  number("cosine", row.cosine(), m);
  number("max_channel_error", row.max_channel_error(), m);
  number("floor_nmse", row.floor_nmse(), m);
  number("floor_multiples", row.floor_multiples(), m);
  integer("reference_nan", row.reference_nan(), m);
  integer("reference_inf", row.reference_inf(), m);
  integer("candidate_nan", row.candidate_nan(), m);
  integer("candidate_inf", row.candidate_inf(), m);
  integer("first_non_finite", row.first_non_finite(), row.has_first_non_finite());
  boolean("bit_identical", row.bit_identical(), m);
  number("kl_divergence", row.kl_divergence(), g);
  boolean("top1_match", row.top1_match(), g);
  integer("reference_top1", row.reference_top1(), g);
  integer("candidate_top1", row.candidate_top1(), g);
  integer("reference_top1_rank", row.reference_top1_rank(), g);
  number("reference_top1_gap", row.reference_top1_gap(), g);
  number("top1_loss", row.top1_loss(), g);
  integer("top5_overlap", row.top5_overlap(), g);
  boolean("near_tie", row.near_tie(), g);
}

}  // namespace

absl::string_view RowVerdictName(v1::RowVerdict verdict) {
  return absl::StripPrefix(v1::RowVerdict_Name(verdict), "ROW_VERDICT_");
}

void WriteDiffJson(const v1::ComparisonRow& row, TextSink& sink) {
  auto key = [&](absl::string_view name) {
    sink.Text(",\"");
    sink.Text(name);
    sink.Text("\":");
  };
  sink.Text("{\"token_idx\":");
  sink.Int(row.position());
  key("checkpoint");
  sink.JsonString(row.checkpoint());
  key("layer");
  sink.Int(checkpoint::LayerOf(row.checkpoint()));
  key("stage");
  sink.JsonString(checkpoint::StageLabel(row.checkpoint()));
  key("verdict");
  sink.JsonString(RowVerdictName(row.verdict()));
  VisitMetrics(
      row,
      [&](absl::string_view name, double value, bool present) {
        if (!present) return;
        key(name);
        sink.JsonNumber(value);
      },
      [&](absl::string_view name, int64_t value, bool present) {
        if (!present) return;
        key(name);
        sink.Int(value);
      },
      [&](absl::string_view name, bool value, bool present) {
        if (!present) return;
        key(name);
        sink.Text(value ? "true" : "false");
      });
  if (!row.measured_from().empty() || row.single_op()) {
    key("measured_from");
    sink.JsonString(row.measured_from());
    key("single_op");
    sink.Text(row.single_op() ? "true" : "false");
  }
  key("reason");
  sink.JsonString(row.reason());
  sink.Text("}");
}

absl::string_view DiffCsvHeader() {
  return "token_idx,checkpoint,layer,stage,verdict,elements,max_abs,max_abs_index,reference_at_max,"
         "candidate_at_max,mean_abs,rmse,nmse,cosine,max_channel_error,floor_nmse,floor_multiples,"
         "reference_nan,reference_inf,candidate_nan,candidate_inf,first_non_finite,bit_identical,"
         "kl_divergence,top1_match,reference_top1,candidate_top1,reference_top1_rank,"
         "reference_top1_gap,top1_loss,top5_overlap,near_tie,measured_from,single_op,reason";
}

void WriteDiffCsv(const v1::ComparisonRow& row, TextSink& sink) {
  sink.Int(row.position());
  sink.Text(",");
  sink.CsvField(row.checkpoint());
  sink.Text(",");
  sink.Int(checkpoint::LayerOf(row.checkpoint()));
  sink.Text(",");
  sink.CsvField(checkpoint::StageLabel(row.checkpoint()));
  sink.Text(",");
  sink.Text(RowVerdictName(row.verdict()));
  VisitMetrics(
      row,
      [&](absl::string_view, double value, bool present) {
        sink.Text(",");
        if (present) sink.Number(value);
      },
      [&](absl::string_view, int64_t value, bool present) {
        sink.Text(",");
        if (present) sink.Int(value);
      },
      [&](absl::string_view, bool value, bool present) {
        sink.Text(",");
        if (present) sink.Text(value ? "1" : "0");
      });
  sink.Text(",");
  sink.CsvField(row.measured_from());
  sink.Text(row.single_op() ? ",1," : ",0,");
  sink.CsvField(row.reason());
}

}  // namespace parity::exporter
