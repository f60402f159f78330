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
  const float eps = config.rms_epsilon;
  const kernels::AttentionSpec attention = {.layer = layer,
                                            .heads = config.heads,
                                            .kv_heads = config.kv_heads,
                                            .head_size = config.head_size,
                                            .scale = config.attention_scale};

  ops.RmsNorm(all.x, *w.attn_norm, eps, all.h);
  tap(Stage::kAttnNorm, layer, all.h);
  if (tail.count() > 0) {
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
  if (tail.count() > 0) {
    ops.Rope(rope, config.head_size, tail.positions, tail.q);
    tap(Stage::kAttnQRope, layer, tail.q);
  }
  ops.Rope(rope, config.head_size, all.positions, all.k);
  tap(Stage::kAttnKRope, layer, all.k);
  ops.AppendKv(layer, all.k, all.v, all.places);
  if (tail.count() == 0) return;

  ops.Attention(attention, tail.q, tail.places, tail.context);
  tap(Stage::kAttnContext, layer, tail.context);
  ops.MatMul(*w.wo, tail.context, tail.o);
  AddOptional(ops, w.bo, tail.o);
  tap(Stage::kAttnOut, layer, tail.o);
  ops.Add(tail.o, tail.x, tail.x);
  tap(Stage::kAttnResidual, layer, tail.x);

  ops.RmsNorm(tail.x, *w.ffn_norm, eps, tail.h);
  tap(Stage::kMlpNorm, layer, tail.h);
  ops.MatMul(*w.gate, tail.h, tail.gate);
  tap(Stage::kMlpGate, layer, tail.gate);
  ops.MatMul(*w.up, tail.h, tail.up);
  tap(Stage::kMlpUp, layer, tail.up);
  ops.GatedActivation(config.activation, tail.gate, tail.up, tail.gate);
  tap(Stage::kMlpAct, layer, tail.gate);
  ops.MatMul(*w.down, tail.gate, tail.o);
  tap(Stage::kMlpDown, layer, tail.o);
  ops.Add(tail.o, tail.x, tail.x);
  tap(Stage::kLayerOut, layer, tail.x);
}

}  // namespace parity::engine
