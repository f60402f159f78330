#include "worker/engine/transformer_layer.h"

namespace parity::engine {
namespace {

kernels::Matrix Skip(kernels::Matrix m, int64_t rows) {
  return {m.data + rows * m.cols, m.rows - rows, m.cols};
}

// out = weight x, plus the bias where the model has one.
void Product(kernels::Backend& ops, const std::unique_ptr<kernels::Weight>& weight,
             const std::unique_ptr<kernels::Vector>& bias, kernels::Matrix x, kernels::Matrix out) {
  if (bias == nullptr) {
    ops.MatMul(*weight, x, out);
  } else {
    ops.MatMulBias(*weight, *bias, x, out);
  }
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
  if (queries) {
    Product(ops, w.wq, w.bq, tail.h, tail.q);
    tap(Stage::kAttnQ, layer, tail.q);
  }
  Product(ops, w.wk, w.bk, all.h, all.k);
  tap(Stage::kAttnK, layer, all.k);
  Product(ops, w.wv, w.bv, all.h, all.v);
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
  Product(ops, w.wo, w.bo, rows.context, rows.o);
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
  Product(ops, w.gate, w.gate_bias, rows.h, rows.gate);
  tap(Stage::kMlpGate, layer, rows.gate);
  Product(ops, w.up, w.up_bias, rows.h, rows.up);
  tap(Stage::kMlpUp, layer, rows.up);
  ops.GatedActivation(config.activation, rows.gate, rows.up, rows.gate);
  tap(Stage::kMlpAct, layer, rows.gate);
  Product(ops, w.down, w.down_bias, rows.gate, rows.o);
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
