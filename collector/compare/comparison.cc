#include "collector/compare/comparison.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector/compare/alignment.h"
#include "collector/compare/identity_gate.h"
#include "collector/compare/profile.h"
#include "collector/compare/row_maker.h"
#include "collector/compare/shadow_stretch.h"
#include "collector/compare/summary.h"
#include "proto/checkpoint/name.h"
#include "proto/status/status_macros.h"

namespace parity::compare {
namespace {

using Reader = std::unique_ptr<store::CaptureReader>;
using Rows = std::vector<v1::ComparisonRow>;

constexpr size_t kRowsPerPiece =
    256;  // about half a token of a full capture: one or two blobs a side
constexpr size_t kPiecesAhead =
    64;  // finished pieces that may wait for the consumer: 16k rows, some 8 MB

// A run of aligned rows, made by one thread.
struct Piece {
  size_t begin = 0;
  size_t end = 0;
  absl::Status status;
  Rows rows;
  bool done = false;
};

// Makes the rows on several threads and hands them out in order.
class RowFactory {
 public:
  RowFactory(const store::CaptureStore& store, const v1::CompareRequest& request,
             const RowContext& context, const store::CaptureReader& reference,
             const store::CaptureReader& candidate)
      : store_(store),
        request_(request),
        context_(context),
        reference_id_(reference.capture_id()),
        candidate_id_(candidate.capture_id()) {
    Split();
  }

  ~RowFactory() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // The caller's readers serve the first thread, so that a small comparison opens no further ones.
  // They outlive the factory.
  void Start(int threads, store::CaptureReader& reference, store::CaptureReader& candidate) {
    const int count = std::max(1, std::min<int>(threads, static_cast<int>(pieces_.size())));
    threads_.emplace_back([this, &reference, &candidate] { Work(reference, candidate); });
    for (int i = 1; i < count; ++i) {
      threads_.emplace_back([this] { OpenAndWork(); });
    }
  }

  // The next piece's rows in order; empty at the end.
  absl::StatusOr<Rows> Next() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (consumed_ == pieces_.size()) return Rows();
    Piece& piece = pieces_[consumed_];
    changed_.wait(lock, [&] { return piece.done || !failure_.ok(); });
    if (!piece.done) return failure_;
    ++consumed_;
    changed_.notify_all();
    if (!piece.status.ok()) return piece.status;
    return std::move(piece.rows);
  }

 private:
  void Split() {
    const std::vector<AlignedRow>& rows = context_.alignment->rows;
    for (size_t begin = 0; begin < rows.size();) {
      Piece piece;
      piece.begin = begin;
      piece.end = std::min(rows.size(), begin + kRowsPerPiece);
      begin = piece.end;
      pieces_.push_back(std::move(piece));
    }
  }

  void OpenAndWork() {
    absl::StatusOr<Reader> reference = store_.OpenCapture(request_.run(), request_.reference());
    absl::StatusOr<Reader> candidate = store_.OpenCapture(
        request_.candidate_run().empty() ? request_.run() : request_.candidate_run(),
        request_.candidate());
    absl::Status status = reference.ok() ? candidate.status() : reference.status();
    if (status.ok() && ((*reference)->capture_id() != reference_id_ ||
                        (*candidate)->capture_id() != candidate_id_)) {
      status = absl::AbortedError("a capture was replaced while it was compared");
    }
    if (!status.ok()) return Fail(status);
    Work(**reference, **candidate);
  }

  void Fail(const absl::Status& status) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      failure_ = status;
    }
    changed_.notify_all();
  }

  void Work(store::CaptureReader& reference, store::CaptureReader& candidate) {
    RowMaker maker(context_, reference, candidate);
    while (true) {
      Piece* piece = nullptr;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || next_ < consumed_ + kPiecesAhead; });
        if (stopping_ || next_ == pieces_.size()) return;
        piece = &pieces_[next_++];
      }
      Rows rows(piece->end - piece->begin);
      absl::Status status;
      for (size_t i = piece->begin; i < piece->end && status.ok(); ++i) {
        status = maker.Make(context_.alignment->rows[i], &rows[i - piece->begin]);
      }
      {
        std::lock_guard<std::mutex> lock(mutex_);
        piece->status = std::move(status);
        piece->rows = std::move(rows);
        piece->done = true;
      }
      changed_.notify_all();
    }
  }

  const store::CaptureStore& store_;
  const v1::CompareRequest& request_;
  const RowContext& context_;
  const int64_t reference_id_;
  const int64_t candidate_id_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Piece> pieces_;
  size_t next_ = 0;      // the first piece nobody has taken
  size_t consumed_ = 0;  // the first piece not yet handed out
  bool stopping_ = false;
  absl::Status failure_;  // of a thread that could not begin
  std::vector<std::thread> threads_;
};

// Whether the candidate follows exactly this reference.
bool Follows(const store::CaptureReader& candidate, const store::CaptureReader& reference) {
  const v1::Provenance& provenance = candidate.capture().provenance();
  return provenance.kind() == v1::CAPTURE_KIND_SHADOW &&
         provenance.shadow_of() == absl::StrCat(reference.run(), "/", reference.capture().team());
}

int Layers(const Alignment& alignment) {
  int layers = 0;
  for (const std::string& name : alignment.names) {
    if (const auto known = checkpoint::Parse(name)) layers = std::max(layers, known->layer + 1);
  }
  return layers;
}

struct Prepared {
  Reader reference, candidate;
  Alignment alignment;
  Identity identity;
  std::optional<Profile> profile;
  std::optional<ShadowStretches> stretches;
};

absl::Status Prepare(store::CaptureStore& store, const v1::CompareRequest& request,
                     Prepared* prepared) {
  if (request.store() && store.read_only()) {
    return absl::FailedPreconditionError(
        absl::StrCat(store.path(), " is open read-only: the comparison cannot be stored"));
  }
  const std::string& candidate_run =
      request.candidate_run().empty() ? request.run() : request.candidate_run();
  ASSIGN_OR_RETURN(prepared->reference, store.OpenCapture(request.run(), request.reference()));
  ASSIGN_OR_RETURN(prepared->candidate, store.OpenCapture(candidate_run, request.candidate()));
  store::CaptureReader &reference = *prepared->reference, &candidate = *prepared->candidate;
  ASSIGN_OR_RETURN(prepared->alignment, Align(reference, candidate, request));
  ASSIGN_OR_RETURN(const std::vector<v1::TokenRecord> reference_tokens, reference.ReadTokens());
  ASSIGN_OR_RETURN(const std::vector<v1::TokenRecord> candidate_tokens, candidate.ReadTokens());
  const v1::Provenance& a = reference.capture().provenance();
  v1::Provenance b = candidate.capture().provenance();
  prepared->identity = CheckIdentity(a, b, reference_tokens, candidate_tokens);
  if (b.kind() == v1::CAPTURE_KIND_SHADOW && !Follows(candidate, reference)) {
    prepared->identity.lines.push_back(
        absl::StrCat("kind: the candidate is a shadow of ", b.shadow_of(),
                     ", not of this reference, so its rows are not compared as local errors"));
    b.set_kind(v1::CAPTURE_KIND_FREE);
  }
  ASSIGN_OR_RETURN(prepared->profile,
                   Profile::Choose(request.profile(), a, b, Layers(prepared->alignment)));
  for (const std::string& note : prepared->profile->notes()) {
    prepared->identity.lines.push_back(absl::StrCat("profile: ", note));
  }
  if (b.kind() == v1::CAPTURE_KIND_SHADOW) {
    prepared->stretches.emplace(prepared->alignment,
                                a.architecture().empty() ? b.architecture() : a.architecture());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompareCaptures(store::CaptureStore& store, const v1::CompareRequest& request,
                             const RowCallback& on_row, v1::ComparisonSummary* summary,
                             CompareOptions options) {
  Prepared prepared;
  RETURN_IF_ERROR(Prepare(store, request, &prepared));
  const v1::Capture reference = prepared.reference->capture();
  const v1::Capture candidate = prepared.candidate->capture();
  const int64_t reference_id = prepared.reference->capture_id();
  const int64_t candidate_id = prepared.candidate->capture_id();
  const RowContext context = {
      &prepared.alignment,      &*prepared.profile,
      &prepared.identity,       prepared.stretches ? &*prepared.stretches : nullptr,
      prepared.reference.get(), prepared.candidate.get()};
  SummaryBuilder builder;
  Rows kept;
  {
    RowFactory factory(store, request, context, *prepared.reference, *prepared.candidate);
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    factory.Start(options.threads > 0 ? options.threads : cores, *prepared.reference,
                  *prepared.candidate);
    while (true) {
      ASSIGN_OR_RETURN(Rows rows, factory.Next());
      if (rows.empty()) break;
      for (v1::ComparisonRow& row : rows) {
        builder.Add(row);
        RETURN_IF_ERROR(on_row(row));
        if (request.store()) kept.push_back(std::move(row));
      }
    }
  }
  *summary = builder.Finish(prepared.identity.other_model, reference, candidate);
  summary->set_profile(prepared.profile->name());
  for (const std::string& line : prepared.identity.lines) summary->add_identity(line);
  if (prepared.identity.first_token_mismatch >= 0) {
    summary->set_first_token_mismatch(prepared.identity.first_token_mismatch);
  }
  if (request.store()) {
    ASSIGN_OR_RETURN(const int64_t id,
                     store.StoreComparison(reference_id, candidate_id, *summary, kept));
    summary->set_comparison_id(id);
  }
  return absl::OkStatus();
}

}  // namespace parity::compare
