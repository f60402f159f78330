// libllama's eval callback turned into observations.
#ifndef PARITY_WORKER_LLAMA_NODE_TAP_H_
#define PARITY_WORKER_LLAMA_NODE_TAP_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "worker/engine/observer.h"
#include "worker/llama/node_map.h"

struct ggml_tensor;

namespace parity::llama {

// Threading: the thread that calls llama_decode. Belongs to one session.
class NodeTap {
 public:
  // `map` must outlive the tap.
  NodeTap(const NodeMap& map, int32_t heads, int32_t kv_heads);

  // A step of `rows` tokens begins; asks the observer once for every site. observer may be null:
  // nothing is wanted then.
  void Begin(engine::Observer* observer, int64_t rows);
  // Whether something that is computed for requested outputs only is wanted: the last layer or the
  // head.
  bool WantsAllOutputs(int32_t layers) const;
  // The step is over. INTERNAL naming the first wanted checkpoint that libllama's graph did not
  // show exactly once.
  absl::Status End();

  // ggml_backend_sched_eval_callback with a NodeTap as user data.
  static bool Callback(ggml_tensor* tensor, bool ask, void* tap);

  // First error of the step; the step should be given up when it is not OK.
  const absl::Status& status() const { return status_; }

 private:
  enum class SiteState : uint8_t { kUnwanted, kWanted, kSeen };

  static size_t Index(checkpoint::Name name) {
    return static_cast<size_t>(name.layer + 1) * checkpoint::kStageCount +
           static_cast<size_t>(name.stage);
  }
  bool Wanted(const ggml_tensor* tensor);
  absl::Status Give(const ggml_tensor* tensor);
  int32_t HeadsOf(checkpoint::Stage stage) const;

  const NodeMap& map_;
  const int32_t heads_;
  const int32_t kv_heads_;
  engine::Observer* observer_ = nullptr;
  int64_t rows_ = 0;
  std::vector<SiteState> sites_;
  checkpoint::Name asked_ = {checkpoint::Stage::kEmbed, -1};  // the node that ask said yes to
  std::vector<float> values_;
  absl::Status status_;
};

}  // namespace parity::llama

#endif  // PARITY_WORKER_LLAMA_NODE_TAP_H_
