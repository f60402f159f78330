#include "worker/llama/node_tap.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "worker/llama/library.h"

namespace parity::llama {
namespace {

using checkpoint::Name;
using checkpoint::Stage;

// The weight or bias a node reads: MUL_MAT and GET_ROWS have it first, sums and products with a
// vector second.
absl::string_view WeightOf(const ggml_tensor* tensor) {
  const int source = tensor->op == GGML_OP_MUL_MAT || tensor->op == GGML_OP_GET_ROWS ? 0 : 1;
  return tensor->src[source] != nullptr ? Library().ggml_get_name(tensor->src[source]) : "";
}

// Copies an F32 tensor that may be a view or a permutation, in the order of its indices.
void CopyValues(const ggml_tensor* tensor, float* out) {
  if (Library().ggml_is_contiguous(tensor)) {
    Library().ggml_backend_tensor_get(tensor, out, 0, Library().ggml_nbytes(tensor));
    return;
  }
  for (int64_t i3 = 0; i3 < tensor->ne[3]; ++i3) {
    for (int64_t i2 = 0; i2 < tensor->ne[2]; ++i2) {
      for (int64_t i1 = 0; i1 < tensor->ne[1]; ++i1) {
        for (int64_t i0 = 0; i0 < tensor->ne[0]; ++i0) {
          const size_t offset =
              i0 * tensor->nb[0] + i1 * tensor->nb[1] + i2 * tensor->nb[2] + i3 * tensor->nb[3];
          Library().ggml_backend_tensor_get(tensor, out++, offset, sizeof(float));
        }
      }
    }
  }
}

}  // namespace

NodeTap::NodeTap(const NodeMap& map, int32_t heads, int32_t kv_heads)
    : map_(map), heads_(heads), kv_heads_(kv_heads) {}

void NodeTap::Begin(engine::Observer* observer, int64_t rows) {
  observer_ = observer;
  rows_ = rows;
  status_ = absl::OkStatus();
  sites_.clear();
  if (observer_ == nullptr) return;
  for (const Name& site : map_.checkpoints()) {
    sites_.resize(std::max(sites_.size(), Index(site) + 1), SiteState::kUnwanted);
    if (observer_->Wants(site.stage, site.layer)) sites_[Index(site)] = SiteState::kWanted;
  }
}

bool NodeTap::WantsAllOutputs(int32_t layers) const {
  if (observer_ == nullptr) return false;
  for (const Name& site : map_.checkpoints()) {
    const bool cut =
        site.layer == layers - 1 || site.stage == Stage::kFinalNorm || site.stage == Stage::kLogits;
    if (cut && sites_[Index(site)] == SiteState::kWanted) return true;
  }
  return false;
}

absl::Status NodeTap::End() {
  observer_ = nullptr;
  if (!status_.ok() || sites_.empty()) return status_;
  for (const Name& site : map_.checkpoints()) {
    if (sites_[Index(site)] == SiteState::kWanted) {
      return absl::InternalError(
          absl::StrCat("libllama's graph has no node for ", checkpoint::ToString(site)));
    }
  }
  return absl::OkStatus();
}

bool NodeTap::Callback(ggml_tensor* tensor, bool ask, void* tap) {
  NodeTap* self = static_cast<NodeTap*>(tap);
  if (self->observer_ == nullptr) return !ask;
  if (ask) return self->Wanted(tensor);
  self->status_ = self->Give(tensor);
  return self->status_.ok();
}

bool NodeTap::Wanted(const ggml_tensor* tensor) {
  if (!status_.ok()) return false;
  const auto name = map_.Find(
      {Library().ggml_get_name(tensor), Library().ggml_op_desc(tensor), WeightOf(tensor)});
  if (!name || sites_[Index(*name)] == SiteState::kUnwanted) return false;
  asked_ = *name;
  return true;
}

absl::Status NodeTap::Give(const ggml_tensor* tensor) {
  const std::string name = checkpoint::ToString(asked_);
  SiteState& state = sites_[Index(asked_)];
  const int64_t elements = Library().ggml_nelements(tensor);
  if (state == SiteState::kSeen) {
    return absl::InternalError(absl::StrCat("libllama's graph shows ", name, " twice in a step"));
  }
  if (tensor->type != GGML_TYPE_F32 || elements == 0 || elements % rows_ != 0) {
    return absl::InternalError(absl::StrCat(name, ": libllama computed ", elements, " values of ",
                                            Library().ggml_type_name(tensor->type),
                                            ", expected F32 for ", rows_, " tokens"));
  }
  state = SiteState::kSeen;
  values_.resize(elements);
  CopyValues(tensor, values_.data());
  return observer_->Observe(
      asked_.stage, asked_.layer,
      {absl::MakeSpan(values_), rows_, elements / rows_, HeadsOf(asked_.stage)});
}

int32_t NodeTap::HeadsOf(Stage stage) const {
  switch (stage) {
    case Stage::kAttnQ:
    case Stage::kAttnQNorm:
    case Stage::kAttnQRope:
      return heads_;
    case Stage::kAttnK:
    case Stage::kAttnV:
    case Stage::kAttnKNorm:
    case Stage::kAttnKRope:
      return kv_heads_;
    default:
      return 0;
  }
}

}  // namespace parity::llama
