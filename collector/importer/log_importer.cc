#include "collector/importer/log_importer.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "collector/importer/alias_table.h"
#include "collector/importer/log_line.h"
#include "collector/importer/narrow.h"
#include "proto/checkpoint/name.h"
#include "proto/status/status_macros.h"
#include "proto/tensor/values.h"
#include "proto/text/capture_name.h"

namespace parity::importer {
namespace {

// 4 Mi floats (the wire's 16 MiB) at up to 25 bytes of text each.
constexpr size_t kMaxLineBytes = size_t{128} << 20;
constexpr int64_t kBatchBytes = 512 << 10;  // what SQLite stores fastest (facts/platform)
constexpr size_t kMaxTeams = 64;            // a capture each
constexpr int kMaxDamageLines = 20;         // v1::ImportResponse
constexpr int kMaxUnknownNames = 100;
constexpr absl::string_view kByteOrderMark = "\xef\xbb\xbf";

// One team's capture while it is written.
struct TeamImport {
  int64_t id = 0;
  store::TensorBatch batch;
};

// Counts what the store's writer thread reports.
class Outcome {
 public:
  void Begin() {
    std::lock_guard<std::mutex> lock(mutex_);
    ++pending_;
  }
  void End(const absl::StatusOr<store::AppendResult>& result) {
    std::lock_guard<std::mutex> lock(mutex_);
    --pending_;
    if (!result.ok()) {
      if (status_.ok()) status_ = result.status();
    } else {
      // A line that repeats a key with the same bytes supersedes it too.
      superseded_ += result->superseded + result->duplicate;
      if (status_.ok() && result->conflicting > 0) {
        status_ = absl::InvalidArgumentError(result->first_conflict);
      }
    }
    done_.notify_all();
  }
  absl::Status status() {
    std::lock_guard<std::mutex> lock(mutex_);
    return status_;
  }
  absl::Status Wait(int64_t* superseded) {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return pending_ == 0; });
    if (superseded != nullptr) *superseded = superseded_;
    return status_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  int64_t pending_ = 0;
  int64_t superseded_ = 0;
  absl::Status status_;
};

class StoreLogImporter : public LogImporter {
 public:
  StoreLogImporter(store::CaptureStore* store, const v1::ImportOptions& options, AliasTable aliases)
      : store_(store), options_(options), aliases_(std::move(aliases)) {
    source_ = options.source_name().empty() ? "log" : options.source_name();
  }

  ~StoreLogImporter() override {
    (void)outcome_.Wait(nullptr);  // its callbacks refer to this object
    if (finished_) return;
    for (auto& [team, import] : teams_) (void)store_->AbandonImport(import.id);
  }

  absl::Status Feed(absl::string_view bytes) override;
  absl::StatusOr<v1::ImportResponse> Finish() override;

 private:
  absl::Status TakeLine(absl::string_view line);
  absl::Status EndLastLine();
  absl::Status Damaged(absl::string_view what);
  // Turns line_ into tensor_; an error says what is wrong with the line.
  absl::Status MakeTensor();
  absl::Status CheckTeam(const std::string& team) const;
  absl::Status Store(const std::string& team);
  absl::Status Flush(TeamImport& import);
  bool TryParse(absl::string_view text, absl::Status* why);

  store::CaptureStore* const store_;
  const v1::ImportOptions options_;
  AliasTable aliases_;
  std::string source_;
  int64_t line_number_ = 0;  // of the source, 1-based once a line was taken
  std::string partial_;      // of the line that is not complete yet
  bool too_long_ = false;    // the line that is not complete yet is only skipped
  LogLine line_;
  v1::Tensor tensor_;
  std::map<std::string, TeamImport> teams_;
  std::set<std::string> unknown_;
  v1::ImportResponse response_;
  Outcome outcome_;
  bool finished_ = false;
};

absl::Status StoreLogImporter::Feed(absl::string_view bytes) {
  response_.set_bytes(response_.bytes() + static_cast<int64_t>(bytes.size()));
  while (!bytes.empty()) {
    const void* found = std::memchr(bytes.data(), '\n', bytes.size());
    const size_t length =
        found == nullptr ? bytes.size() : static_cast<const char*>(found) - bytes.data();
    const absl::string_view piece = bytes.substr(0, length);
    const bool ends = found != nullptr;
    bytes.remove_prefix(std::min(bytes.size(), length + 1));
    too_long_ |= partial_.size() + piece.size() > kMaxLineBytes;
    if (too_long_) {
      partial_.clear();
      if (!ends) continue;
      ++line_number_;
      too_long_ = false;
      response_.set_lines(response_.lines() + 1);
      RETURN_IF_ERROR(Damaged(absl::StrCat("the line is longer than ", kMaxLineBytes, " bytes")));
    } else if (ends && partial_.empty()) {
      RETURN_IF_ERROR(TakeLine(piece));
    } else {
      partial_.append(piece.data(), piece.size());
      if (!ends) continue;
      RETURN_IF_ERROR(TakeLine(partial_));
      partial_.clear();
    }
  }
  return outcome_.status();
}

absl::Status StoreLogImporter::EndLastLine() {
  if (!too_long_ && partial_.empty()) return absl::OkStatus();
  const int64_t bytes = response_.bytes();
  RETURN_IF_ERROR(Feed("\n"));
  response_.set_bytes(bytes);  // the line feed was ours
  return absl::OkStatus();
}

absl::Status StoreLogImporter::Damaged(absl::string_view what) {
  const std::string message = absl::StrCat(source_, ":", line_number_, ": ", what);
  if (options_.strict()) return absl::InvalidArgumentError(message);
  response_.set_damaged(response_.damaged() + 1);
  if (response_.damage_size() < kMaxDamageLines) response_.add_damage(message);
  return absl::OkStatus();
}

absl::Status StoreLogImporter::CheckTeam(const std::string& team) const {
  if (team.empty()) return absl::InvalidArgumentError("no team in the line, and none was given");
  RETURN_IF_ERROR(text::CheckTeamName(team));
  if (teams_.size() >= kMaxTeams && teams_.count(team) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxTeams, " teams in one log"));
  }
  return absl::OkStatus();
}

absl::Status StoreLogImporter::MakeTensor() {
  if (line_.checkpoint.empty()) return absl::InvalidArgumentError("no \"checkpoint\"");
  if (line_.position < 0 || line_.position > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError("no \"token_idx\" from 0 to 2147483647");
  }
  if (!line_.has_values || line_.values.empty()) return absl::InvalidArgumentError("no \"values\"");
  const std::string& name = aliases_.Resolve(line_.checkpoint);
  tensor_.Clear();
  tensor_.set_checkpoint(name);
  std::vector<int64_t>& shape = line_.shape;
  // A tensor is one token's: the leading batch axis is dropped.
  if (shape.size() > 1 && shape.front() == 1) shape.erase(shape.begin());
  if (shape.empty()) shape.push_back(static_cast<int64_t>(line_.values.size()));
  ASSIGN_OR_RETURN(const int64_t elements, tensor::CheckedElements(shape));
  for (const int64_t size : shape) tensor_.add_shape(size);
  tensor_.set_total_elements(elements);
  tensor_.set_dtype(
      EncodeExactly(tensor::ParseDType(line_.dtype), line_.values, tensor_.mutable_data()));
  tensor_.set_xxh3(tensor::Checksum(tensor_.data()));
  return tensor::Validate(tensor_);
}

bool StoreLogImporter::TryParse(absl::string_view text, absl::Status* why) {
  *why = ParseLogLine(text, &line_);
  if (why->ok()) *why = MakeTensor();
  if (why->ok()) *why = CheckTeam(options_.team().empty() ? line_.team : options_.team());
  return why->ok();
}

absl::Status StoreLogImporter::TakeLine(absl::string_view line) {
  ++line_number_;
  if (line_number_ == 1 && absl::StartsWith(line, kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  response_.set_lines(response_.lines() + 1);
  if (line.find_first_not_of(" \t\r") == absl::string_view::npos) return absl::OkStatus();
  absl::Status why;
  if (!TryParse(line, &why)) {
    RETURN_IF_ERROR(Damaged(why.message()));
    // A run that died inside a line, and another that went on right behind it: the rest may be a
    // whole record.
    const size_t again = line.rfind("{\"");
    if (again == 0 || again == absl::string_view::npos || !TryParse(line.substr(again), &why)) {
      return absl::OkStatus();
    }
  }
  return Store(options_.team().empty() ? line_.team : options_.team());
}

absl::Status StoreLogImporter::Store(const std::string& team) {
  auto found = teams_.find(team);
  if (found == teams_.end()) {
    ASSIGN_OR_RETURN(const int64_t id,
                     store_->BeginImport(options_.run(), team, options_.replace()));
    found = teams_.emplace(team, TeamImport{id, {}}).first;
  }
  TeamImport& import = found->second;
  const int32_t position = static_cast<int32_t>(line_.position);
  // Grown by doubling, half a batch would be copied and its pages faulted in again.
  if (import.batch.bytes() == 0) {
    import.batch.Reserve(kBatchBytes + static_cast<int64_t>(tensor_.data().size()));
  }
  import.batch.AddTensor(position, tensor_);
  const store::Statistics& statistics = import.batch.tensors().back().statistics;
  response_.set_non_finite(response_.non_finite() + statistics.nan_count + statistics.inf_count);
  store::BatchToken token;
  token.position = position;
  const bool known =
      line_.input_token_id >= 0 && line_.input_token_id <= std::numeric_limits<int32_t>::max();
  token.input_token_id = known ? static_cast<int32_t>(line_.input_token_id) : -1;
  import.batch.AddToken(std::move(token));
  response_.set_tensors(response_.tensors() + 1);
  if (!checkpoint::Parse(tensor_.checkpoint()).has_value() && unknown_.size() < kMaxUnknownNames) {
    unknown_.insert(tensor_.checkpoint());
  }
  if (import.batch.bytes() < kBatchBytes) return absl::OkStatus();
  return Flush(import);
}

absl::Status StoreLogImporter::Flush(TeamImport& import) {
  if (import.batch.empty()) return absl::OkStatus();
  outcome_.Begin();
  store::TensorBatch batch = std::exchange(import.batch, store::TensorBatch());
  store_->AppendImport(
      import.id, std::move(batch),
      [this](const absl::StatusOr<store::AppendResult>& result) { outcome_.End(result); });
  return outcome_.status();
}

absl::StatusOr<v1::ImportResponse> StoreLogImporter::Finish() {
  RETURN_IF_ERROR(EndLastLine());
  if (teams_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source_, ": no usable line in ", response_.lines(), " lines",
        response_.damage().empty() ? "" : absl::StrCat("; first damage: ", response_.damage(0))));
  }
  std::vector<store::CaptureStore::FinishedImport> imports;
  for (auto& [team, import] : teams_) {
    RETURN_IF_ERROR(Flush(import));
    store::CaptureStore::FinishedImport& finished = imports.emplace_back();
    finished.id = import.id;
    finished.replace = options_.replace();
    finished.provenance.set_engine("import");
    finished.provenance.set_model_sha256(options_.model_sha256());
    finished.provenance.set_kind(v1::CAPTURE_KIND_FREE);
    // Never a path: a provenance is shown to others.
    (*finished.provenance.mutable_extra())["source"] = source_.substr(source_.rfind('/') + 1);
    response_.add_teams(team);
  }
  int64_t superseded = 0;
  RETURN_IF_ERROR(outcome_.Wait(&superseded));
  response_.set_superseded(superseded);
  response_.set_tensors(response_.tensors() - superseded);
  for (const std::string& name : unknown_) response_.add_unknown_checkpoints(name);
  RETURN_IF_ERROR(store_->FinishImports(imports));
  finished_ = true;
  return response_;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogImporter>> LogImporter::Create(store::CaptureStore* store,
                                                                 const v1::ImportOptions& options) {
  RETURN_IF_ERROR(text::CheckRunName(options.run()));
  if (!options.team().empty()) RETURN_IF_ERROR(text::CheckTeamName(options.team()));
  const std::map<std::string, std::string> aliases(options.aliases().begin(),
                                                   options.aliases().end());
  ASSIGN_OR_RETURN(AliasTable table, AliasTable::Create(aliases));
  return std::make_unique<StoreLogImporter>(store, options, std::move(table));
}

}  // namespace parity::importer
