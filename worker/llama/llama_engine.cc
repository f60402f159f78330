#include "worker/llama/llama_engine.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"
#include "worker/engine/engine_info.h"
#include "worker/engine/ticket_lock.h"
#include "worker/llama/library.h"
#include "worker/llama/node_map.h"
#include "worker/llama/node_tap.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::llama {
namespace {

struct ModelDeleter {
  void operator()(llama_model* model) const { Library().llama_model_free(model); }
};
struct ContextDeleter {
  void operator()(llama_context* context) const { Library().llama_free(context); }
};
using ModelPtr = std::unique_ptr<llama_model, ModelDeleter>;
using ContextPtr = std::unique_ptr<llama_context, ContextDeleter>;

// A batch of one sequence, in memory of its own.
class Batch {
 public:
  void Fill(absl::Span<const int32_t> ids, int32_t position, bool all_outputs, bool last_output) {
    const size_t count = ids.size();
    tokens_.assign(ids.begin(), ids.end());
    positions_.resize(count);
    for (size_t t = 0; t < count; ++t) positions_[t] = position + static_cast<int32_t>(t);
    sequence_counts_.assign(count, 1);
    sequences_.assign(count, &sequence_);
    outputs_.assign(count, all_outputs ? 1 : 0);
    if (last_output) outputs_.back() = 1;
  }

  llama_batch get() {
    return {.n_tokens = static_cast<int32_t>(tokens_.size()),
            .token = tokens_.data(),
            .embd = nullptr,
            .pos = positions_.data(),
            .n_seq_id = sequence_counts_.data(),
            .seq_id = sequences_.data(),
            .logits = outputs_.data()};
  }

 private:
  std::vector<llama_token> tokens_;
  std::vector<llama_pos> positions_;
  std::vector<int32_t> sequence_counts_;
  llama_seq_id sequence_ = 0;
  std::vector<llama_seq_id*> sequences_;
  std::vector<int8_t> outputs_;
};

// One libllama context: one sequence with its cache and its compute buffers.
class LlamaSession : public engine::Session {
 public:
  LlamaSession(const engine::EngineInfo& info, const NodeMap& map, engine::TicketLock& lock,
               int32_t capacity)
      : info_(info), lock_(lock), capacity_(capacity), tap_(map, info.heads, info.kv_heads) {}

  // REQUIRES: called once, before Forward. False when libllama has no room.
  bool Start(llama_model* model, llama_context_params params) {
    params.cb_eval = NodeTap::Callback;
    params.cb_eval_user_data = &tap_;
    params.abort_callback = [](void* self) { return static_cast<LlamaSession*>(self)->Aborted(); };
    params.abort_callback_data = this;
    max_step_tokens_ = static_cast<int32_t>(params.n_batch);
    context_.reset(Library().llama_init_from_model(model, params));
    return context_ != nullptr;
  }

  absl::Status Forward(absl::Span<const int32_t> ids, const engine::ForwardOptions& options,
                       engine::Observer* observer, absl::Span<float> logits) override {
    if (spent_) {
      return absl::FailedPreconditionError("the session ended with an error and cannot go on");
    }
    RETURN_IF_ERROR(
        engine::CheckStep(ids, position_, capacity_, max_step_tokens_, info_.vocabulary));
    if (observer != nullptr && observer->Substitutes()) {
      return absl::UnimplementedError("libllama's values cannot be substituted");
    }
    if (options.logits == engine::LogitsWanted::kLast) CHECK_EQ(logits.size(), info_.vocabulary);
    const absl::Status status = RunStep(ids, options, observer, logits);
    spent_ = !status.ok();
    if (status.ok()) position_ += static_cast<int32_t>(ids.size());
    return status;
  }

  int32_t position() const override { return position_; }
  int32_t capacity() const override { return capacity_; }

 private:
  bool Aborted() const {
    return !tap_.status().ok() || (stop_ != nullptr && stop_->load(std::memory_order_relaxed));
  }

  absl::Status RunStep(absl::Span<const int32_t> ids, const engine::ForwardOptions& options,
                       engine::Observer* observer, absl::Span<float> logits) {
    engine::TicketLock::Holder holder(lock_);
    const bool last = options.logits == engine::LogitsWanted::kLast;
    if (observer != nullptr) {
      RETURN_IF_ERROR(observer->BeginStep({position_, ids, options.prefill}));
    }
    tap_.Begin(observer, static_cast<int64_t>(ids.size()));
    stop_ = options.stop;
    batch_.Fill(ids, position_, tap_.WantsAllOutputs(info_.layers), last);
    absl::Status status = Decode();
    stop_ = nullptr;
    const absl::Status observed = tap_.End();
    RETURN_IF_ERROR(status);
    RETURN_IF_ERROR(observed);
    if (last) {
      const float* row = Library().llama_get_logits_ith(context_.get(), -1);
      if (row == nullptr) return absl::InternalError("libllama returned no logits");
      std::copy(row, row + info_.vocabulary, logits.begin());
    }
    return observer != nullptr ? observer->EndStep() : absl::OkStatus();
  }

  absl::Status Decode() {
    if (Aborted()) return absl::CancelledError("stopped");
    ErrorCollector errors;
    const int code = Library().llama_decode(context_.get(), batch_.get());
    // The observer's own error is the cause of whatever libllama made of the abort.
    RETURN_IF_ERROR(tap_.status());
    if (Aborted()) return absl::CancelledError("stopped");
    if (code == 0) return absl::OkStatus();
    if (code == 1) return absl::OutOfRangeError("libllama's KV cache is full");
    return absl::InternalError(
        absl::StrCat("llama_decode failed with ", code, ": ", errors.Text()));
  }

  const engine::EngineInfo& info_;
  engine::TicketLock& lock_;
  const int32_t capacity_;
  int32_t max_step_tokens_ = 0;
  NodeTap tap_;
  Batch batch_;
  const std::atomic<bool>* stop_ = nullptr;
  int32_t position_ = 0;
  bool spent_ = false;
  ContextPtr context_;  // last: it holds pointers to the tap and to this
};

class LlamaEngineImpl : public engine::Engine {
 public:
  LlamaEngineImpl(ModelPtr model, engine::EngineInfo info, NodeMap map, const LlamaOptions& options)
      : options_(options), model_(std::move(model)), info_(std::move(info)), map_(std::move(map)) {}

  const engine::EngineInfo& info() const override { return info_; }
  int32_t max_step_tokens() const override { return options_.max_step_tokens; }
  bool can_substitute() const override { return false; }

  absl::StatusOr<std::unique_ptr<engine::Session>> NewSession(int32_t capacity) override {
    RETURN_IF_ERROR(engine::CheckCapacity(capacity, info_.context_tokens));
    const ggml_type kv = options_.kv_type == kernels::KvType::kF16 ? GGML_TYPE_F16 : GGML_TYPE_F32;
    llama_context_params params = Library().llama_context_default_params();
    // libllama cuts n_batch to n_ctx; a context no smaller than a step keeps the two apart.
    params.n_ctx = std::max(capacity, options_.max_step_tokens);
    params.n_batch = options_.max_step_tokens;
    params.n_ubatch = options_.max_step_tokens;
    params.n_seq_max = 1;
    params.n_threads = options_.threads;
    params.n_threads_batch = options_.threads;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.type_k = kv;
    params.type_v = kv;
    params.no_perf = true;
    auto session = std::make_unique<LlamaSession>(info_, map_, lock_, capacity);
    ErrorCollector errors;
    if (!session->Start(model_.get(), params)) {
      const int64_t bytes = int64_t{2} * info_.layers * info_.kv_heads * info_.head_size *
                            params.n_ctx * static_cast<int64_t>(Library().ggml_type_size(kv));
      return absl::ResourceExhaustedError(absl::StrCat("libllama could not make a context of ",
                                                       capacity, " tokens (KV cache ", bytes,
                                                       " bytes): ", errors.Text()));
    }
    return std::unique_ptr<engine::Session>(std::move(session));
  }

 private:
  const LlamaOptions options_;
  const ModelPtr model_;
  const engine::EngineInfo info_;
  const NodeMap map_;
  engine::TicketLock lock_;
};

// The integer value of "{architecture}.{key}"; `absent` when there is none or the file holds
// another type.
int32_t MetaInt(const model::GgufFile& file, const std::string& architecture, absl::string_view key,
                int32_t absent) {
  const auto value = file.GetInt(absl::StrCat(architecture, ".", key));
  if (!value.ok() || !value->has_value()) return absent;
  return static_cast<int32_t>(**value);
}

engine::EngineInfo Describe(const model::GgufFile& file, const llama_model* model,
                            const std::string& architecture, const LlamaOptions& options) {
  const Functions& library = Library();
  engine::EngineInfo info;
  info.engine = "llama";
  info.engine_version = LibraryVersion();
  info.architecture = architecture;
  info.weight_type = model::DominantWeightType(file);
  info.kv_type = engine::KvTypeName(options.kv_type);
  info.activation_precision = engine::NativeActivationPrecision(info.weight_type);
  info.attention = "plain";
  info.numerics = "native";
  info.compute_path = ComputePath();
  info.threads = options.threads;
  info.layers = library.llama_model_n_layer(model);
  info.width = library.llama_model_n_embd(model);
  info.heads = library.llama_model_n_head(model);
  info.kv_heads = library.llama_model_n_head_kv(model);
  info.head_size = MetaInt(file, architecture, "attention.key_length",
                           info.heads > 0 ? info.width / info.heads : 0);
  info.feed_forward = MetaInt(file, architecture, "feed_forward_length", 0);
  info.vocabulary = library.llama_vocab_n_tokens(library.llama_model_get_vocab(model));
  info.context_tokens = library.llama_model_n_ctx_train(model);
  info.extra = LibraryDetails();
  info.extra["llama_use_extra_bufts"] = "false";
  return info;
}

absl::StatusOr<ModelPtr> LoadModel(const std::string& path, const std::string& name) {
  llama_model_params params = Library().llama_model_default_params();
  params.n_gpu_layers = 0;
  params.use_extra_bufts = false;
  ErrorCollector errors;
  ModelPtr model(Library().llama_model_load_from_file(path.c_str(), params));
  if (model == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": libllama does not load it: ", errors.Text()));
  }
  return model;
}

}  // namespace

absl::StatusOr<std::unique_ptr<engine::Engine>> LlamaEngine::Create(const std::string& path,
                                                                    const LlamaOptions& options) {
  if (options.threads < 1 || options.max_step_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("libllama options: found ", options.threads, " threads and steps of ",
                     options.max_step_tokens, " tokens, expected at least 1 of each"));
  }
  ASSIGN_OR_RETURN(const auto file, model::GgufFile::Open(path));
  ASSIGN_OR_RETURN(const auto architecture, file->GetString("general.architecture"));
  if (!architecture.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file->name(), ": general.architecture: found none, expected a name"));
  }
  RETURN_IF_ERROR(StartLibrary(options.library));
  ASSIGN_OR_RETURN(ModelPtr model, LoadModel(path, file->name()));
  if (!Library().llama_model_has_decoder(model.get()) ||
      Library().llama_model_is_recurrent(model.get())) {
    return absl::UnimplementedError(
        absl::StrCat(file->name(), ": architecture '", *architecture, "' has no causal attention"));
  }
  engine::EngineInfo info = Describe(*file, model.get(), *architecture, options);
  std::vector<std::string> names;
  for (const model::TensorInfo& tensor : file->tensors()) names.push_back(tensor.name);
  NodeMap map(*architecture, info.layers, names);
  info.checkpoints = map.checkpoints();
  return std::unique_ptr<engine::Engine>(
      new LlamaEngineImpl(std::move(model), std::move(info), std::move(map), options));
}

}  // namespace parity::llama
