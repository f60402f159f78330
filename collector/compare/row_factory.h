// Makes a comparison's rows on several threads and hands them out in order.
#ifndef PARITY_COLLECTOR_COMPARE_ROW_FACTORY_H_
#define PARITY_COLLECTOR_COMPARE_ROW_FACTORY_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collector/compare/alignment.h"
#include "collector/compare/row_maker.h"
#include "collector/store/capture_reader.h"
#include "collector/store/capture_store.h"

namespace parity::compare {

// Rows are read, compared and handed out a few positions at a time, so that memory does not grow
// with the captures. The caller's side (Start, Next, Recycle) is one thread's.
class RowFactory {
 public:
  // `positions`: where rows are to be expected, ascending; no row elsewhere is missed. The others
  // outlive the factory, and nobody else uses the readers until it is gone: their connections serve
  // the first two threads, so that a small comparison opens no further ones.
  RowFactory(const store::CaptureStore& store, const RowContext& context,
             store::CaptureReader& reference, store::CaptureReader& candidate,
             const std::vector<int32_t>& positions);
  // Stops the threads, whatever is left to do.
  ~RowFactory();

  // Once. Threads: at least 1; no more are started than there is work for.
  void Start(int threads);
  // The rows that follow; nullopt at the end.
  absl::StatusOr<std::optional<MadeRows>> Next();
  // Gives rows back that are not needed any more: their memory is used again.
  void Recycle(MadeRows rows);

 private:
  // A run of positions, whose rows one thread makes.
  struct Piece {
    PositionRange positions;
    absl::Status status;
    MadeRows made;
    bool done = false;
  };

  void Split(const std::vector<int32_t>& positions);
  void Begin(size_t thread);
  void Work(store::CaptureReader& reference, store::CaptureReader& candidate);
  // The next piece nobody has taken, once there is room for it; null when there is none.
  Piece* Take(MadeRows* spare);

  const store::CaptureStore& store_;
  const RowContext& context_;
  store::CaptureReader& reference_;
  store::CaptureReader& candidate_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Piece> pieces_;
  std::vector<MadeRows> spare_;
  size_t next_ = 0;      // the first piece nobody has taken
  size_t consumed_ = 0;  // the first piece not yet handed out
  bool stopping_ = false;
  absl::Status failure_;  // of a thread that could not begin
  std::vector<std::thread> threads_;
};

}  // namespace parity::compare

#endif  // PARITY_COLLECTOR_COMPARE_ROW_FACTORY_H_
