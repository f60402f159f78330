// Which node of libllama's graph is which checkpoint.
#ifndef PARITY_WORKER_LLAMA_NODE_MAP_H_
#define PARITY_WORKER_LLAMA_NODE_MAP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "proto/checkpoint/name.h"

namespace parity::llama {

// What the graph tells of a node. Names are libllama's and no stable API, so a node is known by its
// name, by the op that produced it, and by the weight it reads.
struct GraphNode {
  absl::string_view name;  // "Qcur-3", or "node_77" for the unnamed
  absl::string_view op;    // "MUL_MAT", "ROPE", "ADD", "SWIGLU"
  absl::string_view
      weight;  // name of the weight or bias it reads: "blk.3.attn_output.weight"; empty when none
};

// Checked against llama.cpp v0.5.0; the older names it also knows are in the table. Threading:
// immutable.
class NodeMap {
 public:
  // `tensor_names`: every tensor of the model file (they tell which biases, norms and projections
  // there are).
  NodeMap(absl::string_view architecture, int32_t layers,
          const std::vector<std::string>& tensor_names);

  // Absent when the node is no checkpoint. Each checkpoint has one node per step.
  std::optional<checkpoint::Name> Find(const GraphNode& node) const;

  // Checkpoints of the model, in forward order.
  const std::vector<checkpoint::Name>& checkpoints() const { return checkpoints_; }

 private:
  bool HasTensor(int32_t layer, absl::string_view part) const;
  void ListCheckpoints();
  std::optional<checkpoint::Stage> FindProjection(const GraphNode& node, int32_t layer,
                                                  absl::string_view base) const;

  bool scaled_embedding_;  // gemma: the embedding enters layer 0 through inp_scaled
  int32_t layers_;
  absl::flat_hash_set<std::string> tensors_;
  std::vector<checkpoint::Name> checkpoints_;
};

}  // namespace parity::llama

#endif  // PARITY_WORKER_LLAMA_NODE_MAP_H_
