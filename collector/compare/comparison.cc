#include "collector/compare/comparison.h"

#include <algorithm>
#include <condition_variable>
#include <future>
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
#include "collector/store/blob_reader.h"
#include "proto/checkpoint/name.h"
#include "proto/status/status_macros.h"

namespace parity::compare {
namespace {

using Reader = std::unique_ptr<store::CaptureReader>;
using Rows = std::vector<v1::ComparisonRow>;

// Most of a token of a full capture, two or three blobs a side. A piece ends with its blob, which
// would be opened twice otherwise, unless it holds very many tensors.
constexpr size_t kRowsPerPiece = 256;
constexpr size_t kMostRowsPerPiece = 512;
constexpr size_t kPiecesAhead =
    64;  // finished pieces that may wait for the consumer: some 16k rows, 8 MB

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
  RowFactory(const store::CaptureStore& store, const RowContext& context)
      : store_(store), context_(context) {
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

  // The connections of the caller's readers serve the first two threads, so that a small comparison
  // opens no further ones. Nobody else uses the readers until the factory is gone.
  void Start(int threads, const store::CaptureReader& reference,
             const store::CaptureReader& candidate) {
    const int count = std::max(1, std::min<int>(threads, static_cast<int>(pieces_.size())));
    for (int i = 0; i < count; ++i) {
      if (i < 2) {
        const store::CaptureReader* reader = i == 0 ? &reference : &candidate;
        threads_.emplace_back([this, reader] { Work(reader->ReadAhead(), reader->ReadAhead()); });
      } else {
        threads_.emplace_back([this] { OpenAndWork(); });
      }
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

  // Gives rows back that are not needed any more: their strings' memory is used again.
  void Recycle(Rows rows) {
    std::lock_guard<std::mutex> lock(mutex_);
    spare_.push_back(std::move(rows));
  }

 private:
  void Split() {
    const std::vector<AlignedRow>& rows = context_.alignment->rows;
    for (size_t begin = 0; begin < rows.size();) {
      Piece piece;
      piece.begin = begin;
      piece.end = std::min(rows.size(), begin + kRowsPerPiece);
      const size_t most = std::min(rows.size(), begin + kMostRowsPerPiece);
      while (piece.end < most && BlobOf(rows[piece.end]) == BlobOf(rows[piece.end - 1])) {
        ++piece.end;
      }
      begin = piece.end;
      pieces_.push_back(std::move(piece));
    }
  }

  // The reference's, or where it has none the candidate's.
  int64_t BlobOf(const AlignedRow& row) const {
    return row.reference >= 0 ? context_.alignment->reference[row.reference].blob_id
                              : context_.alignment->candidate[row.candidate].blob_id;
  }

  void OpenAndWork() {
    absl::StatusOr<std::unique_ptr<store::BlobReader>> blobs = store_.OpenBlobs();
    if (!blobs.ok()) return Fail(blobs.status());
    Work((*blobs)->Ahead(), (*blobs)->Ahead());
  }

  void Fail(const absl::Status& status) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      failure_ = status;
    }
    changed_.notify_all();
  }

  void Work(std::unique_ptr<store::BlobReader> reference,
            std::unique_ptr<store::BlobReader> candidate) {
    RowMaker maker(context_, std::move(reference), std::move(candidate));
    while (true) {
      Piece* piece = nullptr;
      Rows rows;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || next_ < consumed_ + kPiecesAhead; });
        if (stopping_ || next_ == pieces_.size()) return;
        piece = &pieces_[next_++];
        if (!spare_.empty()) {
          rows = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      rows.resize(piece->end - piece->begin);
      absl::Status status;
      for (size_t i = piece->begin; i < piece->end && status.ok(); ++i) {
        v1::ComparisonRow& row = rows[i - piece->begin];
        row.Clear();
        status = maker.Make(context_.alignment->rows[i], &row);
      }
      maker.Release();  // before it may have to wait
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
  const RowContext& context_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Piece> pieces_;
  std::vector<Rows> spare_;
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
  auto other = std::async(std::launch::async,
                          [&] { return store.OpenCapture(candidate_run, request.candidate()); });
  absl::StatusOr<Reader> own = store.OpenCapture(request.run(), request.reference());
  absl::StatusOr<Reader> others = other.get();
  ASSIGN_OR_RETURN(prepared->reference, std::move(own));
  ASSIGN_OR_RETURN(prepared->candidate, std::move(others));
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
  size_t seen = 0;
  {
    RowFactory factory(store, context);
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    factory.Start(options.threads > 0 ? options.threads : cores, *prepared.reference,
                  *prepared.candidate);
    while (true) {
      ASSIGN_OR_RETURN(Rows rows, factory.Next());
      if (rows.empty()) break;
      for (v1::ComparisonRow& row : rows) {
        builder.Add(row, prepared.alignment.rows[seen++].checkpoint);
        RETURN_IF_ERROR(on_row(row));
        if (request.store()) kept.push_back(std::move(row));
      }
      factory.Recycle(std::move(rows));
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
