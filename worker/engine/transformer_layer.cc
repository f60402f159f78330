#include "worker/engine/transformer_layer.h"

namespace parity::engine {
namespace {

kernels::Matrix Skip(kernels::Matrix m, int64_t rows) {
  return {m.data + rows * m.cols, m.rows - rows, m.cols};
}

void AddOptional(kernels::Backend& ops, const std::unique_ptr<kernels::Vector>& bias,
                 kernels::Matrix x) {
  if (bias != nullptr) ops.AddBias(*bias, x);
}

// What some families do between one checkpoint and the next: the norm, and the tap after it.
void NormOptional(kernels::Backend& ops, const std::unique_ptr<kernels::Vector>& norm, float eps,
                  const Tap& tap, Stage stage, int32_t layer, kernels::Matrix x) {
  if (norm == nullptr) return;
  ops.RmsNorm(x, *norm, eps, x);
  tap(stage, layer, x);
}

// h -> k, v of all rows and q of the tail's.
void KeysAndQueries(kernels::Backend& ops, const model::ModelConfig& config,
                    const kernels::RopeSpec& rope, const LayerWeights& w, int32_t layer,
                    const StepRows& all, const StepRows& tail, const Tap& tap) {
  const float eps = config.rms_epsilon;
  const bool queries = tail.count() > 0;
  if (queries) {
    ops.MatMul(*w.wq, tail.h, tail.q);
    AddOptional(ops, w.bq, tail.q);
    tap(Stage::kAttnQ, layer, tail.q);
  }
  ops.MatMul(*w.wk, all.h, all.k);
  AddOptional(ops, w.bk, all.k);
  tap(Stage::kAttnK, layer, all.k);
  ops.MatMul(*w.wv, all.h, all.v);
  AddOptional(ops, w.bv, all.v);
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

// q and the cache -> x after the first residual add.
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
  ops.MatMul(*w.wo, rows.context, rows.o);
  AddOptional(ops, w.bo, rows.o);
  tap(Stage::kAttnOut, layer, rows.o);
  NormOptional(ops, w.attn_post_norm, config.rms_epsilon, tap, Stage::kAttnPostNorm, layer, rows.o);
  ops.Add(rows.o, rows.x, rows.x);
  tap(Stage::kAttnResidual, layer, rows.x);
}

// x -> x after the second residual add.
void MlpBlock(kernels::Backend& ops, const model::ModelConfig& config, const LayerWeights& w,
              int32_t layer, const StepRows& rows, const Tap& tap) {
  const float eps = config.rms_epsilon;
  ops.RmsNorm(rows.x, *w.ffn_norm, eps, rows.h);
  tap(Stage::kMlpNorm, layer, rows.h);
  ops.MatMul(*w.gate, rows.h, rows.gate);
  AddOptional(ops, w.gate_bias, rows.gate);
  tap(Stage::kMlpGate, layer, rows.gate);
  ops.MatMul(*w.up, rows.h, rows.up);
  AddOptional(ops, w.up_bias, rows.up);
  tap(Stage::kMlpUp, layer, rows.up);
  ops.GatedActivation(config.activation, rows.gate, rows.up, rows.gate);
  tap(Stage::kMlpAct, layer, rows.gate);
  ops.MatMul(*w.down, rows.gate, rows.o);
  AddOptional(ops, w.down_bias, rows.o);
  tap(Stage::kMlpDown, layer, rows.o);
  NormOptional(ops, w.ffn_post_norm, eps, tap, Stage::kMlpPostNorm, layer, rows.o);
  ops.Add(rows.o, rows.x, rows.x);
  tap(Stage::kLayerOut, layer, rows.x);
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
                      const StepRows& all, const StepRows& tail, const Tap& tap) {
  ops.RmsNorm(all.x, *w.attn_norm, config.rms_epsilon, all.h);
  tap(Stage::kAttnNorm, layer, all.h);
  KeysAndQueries(ops, config, rope, w, layer, all, tail, tap);
  ops.AppendKv(layer, all.k, all.v, all.places);
  if (tail.count() == 0) return;
  AttentionBlock(ops, config, w, layer, tail, tap);
  MlpBlock(ops, config, w, layer, tail, tap);
}

}  // namespace parity::engine
