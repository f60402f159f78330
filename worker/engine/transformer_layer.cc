#include "worker/engine/transformer_layer.h"

namespace parity::engine {
namespace {

kernels::Matrix Skip(kernels::Matrix m, int64_t rows) {
  return {m.data + rows * m.cols, m.rows - rows, m.cols};
}

// out = weight x, plus the bias where the model has one.
kernels::Projection To(kernels::Matrix out, const std::unique_ptr<kernels::Weight>& weight,
                       const std::unique_ptr<kernels::Vector>& bias) {
  return {weight.get(), bias.get(), out};
}

// What some families do between one checkpoint and the next: the norm, and the tap after it.
void NormOptional(kernels::Backend& ops, const std::unique_ptr<kernels::Vector>& norm, float eps,
                  const Tap& tap, Stage stage, int32_t layer, kernels::Matrix x) {
  if (norm == nullptr) return;
  ops.RmsNorm(x, *norm, eps, x);
  tap(stage, layer, x);
}

// The residual add: x += o, shown as `stage`; then h = norm of what x holds then, at once with the
// add where nobody can come between.
void AddAndNorm(kernels::Backend& ops, const kernels::Vector* norm, float eps, const Tap& tap,
                Stage stage, int32_t layer, const StepRows& rows) {
  const bool fused = norm != nullptr && !tap.MayChange(stage, layer);
  if (fused) {
    ops.AddRmsNorm(rows.o, rows.x, *norm, eps, rows.x, rows.h);
  } else {
    ops.Add(rows.o, rows.x, rows.x);
  }
  tap(stage, layer, rows.x);
  if (norm != nullptr && !fused) ops.RmsNorm(rows.x, *norm, eps, rows.h);
}

// h -> k, v of all rows and q of the tail's.
void KeysAndQueries(kernels::Backend& ops, const model::ModelConfig& config,
                    const kernels::RopeSpec& rope, const LayerWeights& w, int32_t layer,
                    const StepRows& all, const StepRows& tail, const Tap& tap) {
  const float eps = config.rms_epsilon;
  const bool queries = tail.count() > 0;
  const kernels::Projection q = To(tail.q, w.wq, w.bq);
  const kernels::Projection k = To(all.k, w.wk, w.bk), v = To(all.v, w.wv, w.bv);
  if (tail.count() == all.count()) {
    ops.Project(all.h, {q, k, v});
  } else {
    if (queries) ops.Project(tail.h, {q});
    ops.Project(all.h, {k, v});
  }
  if (queries) tap(Stage::kAttnQ, layer, tail.q);
  tap(Stage::kAttnK, layer, all.k);
  tap(Stage::kAttnV, layer, all.v);
  if (queries) NormOptional(ops, w.q_norm, eps, tap, Stage::kAttnQNorm, layer, tail.q);
  NormOptional(ops, w.k_norm, eps, tap, Stage::kAttnKNorm, layer, all.k);
  if (queries) {
    ops.Rope(rope, config.head_size, tail.positions, tail.q);
    tap(Stage::kAttnQRope, layer, tail.q);
    if (config.query_scale != 1.0f) ops.Scale(config.query_scale, tail.q);
  }
  ops.Rope(rope, config.head_size, all.positions, all.k);
  tap(Stage::kAttnKRope, layer, all.k);
}

// q and the cache -> x after the first residual add, and h.
void AttentionBlock(kernels::Backend& ops, const model::ModelConfig& config, const LayerWeights& w,
                    int32_t layer, const StepRows& rows, const Tap& tap) {
  const kernels::AttentionSpec attention = {.layer = layer,
                                            .heads = config.heads,
                                            .kv_heads = config.kv_heads,
                                            .head_size = config.head_size,
                                            .scale = config.attention_scale,
                                            .window = config.layer_table[layer].window};
  ops.Attention(attention, rows.q, rows.places, rows.context);
  tap(Stage::kAttnContext, layer, rows.context);
  ops.Project(rows.context, {To(rows.o, w.wo, w.bo)});
  tap(Stage::kAttnOut, layer, rows.o);
  NormOptional(ops, w.attn_post_norm, config.rms_epsilon, tap, Stage::kAttnPostNorm, layer, rows.o);
  AddAndNorm(ops, w.ffn_norm.get(), config.rms_epsilon, tap, Stage::kAttnResidual, layer, rows);
}

// h -> x after the second residual add, and h.
void MlpBlock(kernels::Backend& ops, const model::ModelConfig& config, const LayerWeights& w,
              int32_t layer, const StepRows& rows, const Tap& tap,
              const kernels::Vector* next_norm) {
  const float eps = config.rms_epsilon;
  tap(Stage::kMlpNorm, layer, rows.h);
  ops.Project(rows.h, {To(rows.gate, w.gate, w.gate_bias), To(rows.up, w.up, w.up_bias)});
  tap(Stage::kMlpGate, layer, rows.gate);
  tap(Stage::kMlpUp, layer, rows.up);
  ops.GatedActivation(config.activation, rows.gate, rows.up, rows.gate);
  tap(Stage::kMlpAct, layer, rows.gate);
  ops.Project(rows.gate, {To(rows.o, w.down, w.down_bias)});
  tap(Stage::kMlpDown, layer, rows.o);
  NormOptional(ops, w.ffn_post_norm, eps, tap, Stage::kMlpPostNorm, layer, rows.o);
  AddAndNorm(ops, next_norm, eps, tap, Stage::kLayerOut, layer, rows);
}

}  // namespace

StepRows StepRows::From(int64_t skip) const {
  StepRows rows = *this;
  for (kernels::Matrix* m : {&rows.x, &rows.h, &rows.q, &rows.k, &rows.v, &rows.context, &rows.o,
                             &rows.gate, &rows.up}) {
    *m = Skip(*m, skip);
  }
  rows.positions = positions.subspan(skip);
  rows.places = places.subspan(skip);
  return rows;
}

void TransformerLayer(kernels::Backend& ops, const model::ModelConfig& config,
                      const kernels::RopeSpec& rope, const LayerWeights& w, int32_t layer,
                      const StepRows& all, const StepRows& tail, const Tap& tap,
                      const kernels::Vector* next_norm) {
  tap(Stage::kAttnNorm, layer, all.h);
  KeysAndQueries(ops, config, rope, w, layer, all, tail, tap);
  ops.AppendKv(layer, all.k, all.v, all.places);
  if (tail.count() == 0) return;
  AttentionBlock(ops, config, w, layer, tail, tap);
  MlpBlock(ops, config, w, layer, tail, tap, next_norm);
}

}  // namespace parity::engine
