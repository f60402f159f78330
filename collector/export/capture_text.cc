#include "collector/export/capture_text.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"

namespace parity::exporter {
namespace {

absl::StatusOr<std::unordered_map<int32_t, int32_t>> TokenIds(store::CaptureReader& reader) {
  ASSIGN_OR_RETURN(const std::vector<v1::TokenRecord> tokens, reader.ReadTokens());
  std::unordered_map<int32_t, int32_t> ids;
  for (const v1::TokenRecord& token : tokens) {
    if (token.input_token_id() >= 0) ids.emplace(token.position(), token.input_token_id());
  }
  return ids;
}

// A misspelt glob must not pass for a capture that holds nothing.
absl::StatusOr<std::vector<store::TensorRow>> Rows(store::CaptureReader& reader,
                                                   const store::RowFilter& filter) {
  ASSIGN_OR_RETURN(std::vector<store::TensorRow> rows, reader.ReadTensors(filter));
  if (!rows.empty() || reader.capture().tensors() == 0) return rows;
  return absl::NotFoundError(absl::StrCat(
      "team \"", reader.capture().team(), "\": none of its ", reader.capture().tensors(),
      " tensors is of the checkpoints and positions asked for"));
}

void WriteValues(v1::DType dtype, absl::string_view data, TextSink& sink,
                 std::vector<float>& values) {
  values.resize(data.size() / tensor::ElementBytes(dtype));
  tensor::DecodeTo(dtype, data, values.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) sink.Text(",");
    sink.Float(values[i]);
  }
}

}  // namespace

absl::Status WriteCaptureJsonl(store::CaptureReader& reader, const store::RowFilter& filter,
                               int64_t max_values, TextSink& sink) {
  ASSIGN_OR_RETURN(const std::vector<store::TensorRow> rows, Rows(reader, filter));
  ASSIGN_OR_RETURN(const auto token_ids, TokenIds(reader));
  std::vector<float> values;
  for (const store::TensorRow& row : rows) {
    ASSIGN_OR_RETURN(absl::string_view data, reader.ReadData(row));
    if (max_values > 0) {
      data = data.substr(
          0, std::min(row.stored_elements, max_values) * tensor::ElementBytes(row.dtype));
    }
    sink.Text("{\"team\":");
    sink.JsonString(reader.capture().team());
    sink.Text(",\"checkpoint\":");
    sink.JsonString(reader.checkpoints()[row.checkpoint].name);
    sink.Text(",\"token_idx\":");
    sink.Int(row.position);
    if (const auto id = token_ids.find(row.position); id != token_ids.end()) {
      sink.Text(",\"token_id\":");
      sink.Int(id->second);
    }
    sink.Text(",\"dtype\":");
    sink.JsonString(tensor::DTypeName(row.dtype));
    sink.Text(",\"shape\":\"[1");
    for (const int64_t size : reader.shape(row)) {
      sink.Text(",");
      sink.Int(size);
    }
    sink.Text("]\",\"values\":[");
    WriteValues(row.dtype, data, sink, values);
    sink.Text("]}");
    RETURN_IF_ERROR(sink.EndLine());
  }
  return absl::OkStatus();
}

absl::Status WriteCaptureCsv(store::CaptureReader& reader, const store::RowFilter& filter,
                             TextSink& sink) {
  ASSIGN_OR_RETURN(const std::vector<store::TensorRow> rows, Rows(reader, filter));
  ASSIGN_OR_RETURN(const auto token_ids, TokenIds(reader));
  sink.Text(
      "token_idx,token_id,checkpoint,layer,stage,dtype,shape,elements,stored_elements,min,max,mean,"
      "rms,nan_count,inf_count,xxh3");
  RETURN_IF_ERROR(sink.EndLine());
  for (const store::TensorRow& row : rows) {
    const store::CheckpointInfo& info = reader.checkpoints()[row.checkpoint];
    const store::Statistics& statistics = row.statistics;
    sink.Int(row.position);
    sink.Text(",");
    if (const auto id = token_ids.find(row.position); id != token_ids.end()) sink.Int(id->second);
    sink.Text(",");
    sink.CsvField(info.name);
    sink.Text(",");
    sink.Int(info.layer);
    sink.Text(",");
    sink.CsvField(info.stage);
    sink.Text(",");
    sink.Text(tensor::DTypeName(row.dtype));
    sink.Text(",");
    sink.CsvField(tensor::ShapeToString(reader.shape(row)));
    for (const int64_t count : {row.elements, row.stored_elements}) {
      sink.Text(",");
      sink.Int(count);
    }
    for (const double value : {statistics.min, statistics.max, statistics.mean, statistics.rms}) {
      sink.Text(",");
      if (statistics.finite > 0) sink.Number(value);
    }
    for (const int64_t count : {statistics.nan_count, statistics.inf_count}) {
      sink.Text(",");
      sink.Int(count);
    }
    sink.Text(",");
    sink.Text(absl::StrCat(absl::Hex(row.checksum, absl::kZeroPad16)));
    RETURN_IF_ERROR(sink.EndLine());
  }
  return absl::OkStatus();
}

}  // namespace parity::exporter
