#include "collector/compare/row_factory.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

namespace parity::compare {
namespace {

// Two tokens of a full capture of a small model: much more than a scan costs to begin.
constexpr int64_t kRowsPerPiece = 1024;
// Finished pieces that may wait for the consumer: some 16k rows, 8 MB.
constexpr size_t kPiecesAhead = 16;

}  // namespace

RowFactory::RowFactory(const store::CaptureStore& store, const RowContext& context,
                       store::CaptureReader& reference, store::CaptureReader& candidate,
                       const std::vector<int32_t>& positions)
    : store_(store), context_(context), reference_(reference), candidate_(candidate) {
  Split(positions);
}

RowFactory::~RowFactory() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

// Cuts the request's range so that each piece holds some of `positions`.
void RowFactory::Split(const std::vector<int32_t>& positions) {
  const int64_t tensors = std::max(reference_.capture().tensors(), candidate_.capture().tensors());
  const int64_t rows = tensors / std::max<int64_t>(1, positions.size());
  const int64_t width = std::max<int64_t>(1, kRowsPerPiece / std::max<int64_t>(1, rows));
  const store::RowFilter& range = context_.plan->reference_filter;
  pieces_.emplace_back().positions = {range.first_position, range.last_position};
  int64_t held = 0;  // by the last piece
  for (const int32_t position : positions) {
    PositionRange& open = pieces_.back().positions;
    if (position < open.first || position > open.last || ++held <= width) continue;
    const int32_t last = open.last;
    open.last = position - 1;
    pieces_.emplace_back().positions = {position, last};
    held = 1;
  }
}

void RowFactory::Start(int threads) {
  const size_t count = std::min(static_cast<size_t>(std::max(1, threads)), pieces_.size());
  for (size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { Begin(i); });
}

absl::StatusOr<std::optional<MadeRows>> RowFactory::Next() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (consumed_ == pieces_.size()) return std::nullopt;
  Piece& piece = pieces_[consumed_];
  changed_.wait(lock, [&] { return piece.done || !failure_.ok(); });
  if (!piece.done) return failure_;
  ++consumed_;
  changed_.notify_all();
  if (!piece.status.ok()) return piece.status;
  return std::move(piece.made);
}

void RowFactory::Recycle(MadeRows rows) {
  std::lock_guard<std::mutex> lock(mutex_);
  spare_.push_back(std::move(rows));
}

void RowFactory::Begin(size_t thread) {
  if (thread == 0) return Work(reference_, *reference_.Beside(candidate_));
  if (thread == 1) return Work(*candidate_.Beside(reference_), candidate_);
  const absl::StatusOr<std::unique_ptr<store::CaptureReader>> own = store_.Reopen(reference_);
  if (own.ok()) return Work(**own, *(*own)->Beside(candidate_));
  {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = own.status();
  }
  changed_.notify_all();
}

RowFactory::Piece* RowFactory::Take(MadeRows* spare) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || next_ < consumed_ + kPiecesAhead; });
  if (stopping_ || next_ == pieces_.size()) return nullptr;
  if (!spare_.empty()) {
    *spare = std::move(spare_.back());
    spare_.pop_back();
  }
  return &pieces_[next_++];
}

void RowFactory::Work(store::CaptureReader& reference, store::CaptureReader& candidate) {
  RowMaker maker(context_, reference, candidate);
  while (true) {
    MadeRows made;
    Piece* piece = Take(&made);
    if (piece == nullptr) return;
    absl::Status status = maker.Make(piece->positions, &made);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      piece->status = std::move(status);
      piece->made = std::move(made);
      piece->done = true;
    }
    changed_.notify_all();
  }
}

}  // namespace parity::compare
