"""A forward pass in float64, of its own: no engine's code, weights by gguf-py's dequantisation.

Run by the interpreter of deploy/fetch oracle (numpy, gguf):
    float64_forward.py MODEL.gguf LOG.jsonl
compares every checkpoint of the log (parity-worker run --capture full --log-file) and prints, as JSON, how many tensors
were compared, how many the model has, and the worst relative error (largest difference over largest value of a tensor).
"""

import json
import sys

import numpy
from gguf import GGUFReader
from gguf.quants import dequantize

# Per family: half-split RoPE, gate activation, embeddings times sqrt(D), windows on all but each n-th layer.
FAMILIES = {
    "llama": (False, "silu", False, 0),
    "qwen2": (True, "silu", False, 0),
    "qwen3": (True, "silu", False, 0),
    "gemma3": (True, "gelu", True, 6),
}


class Model:
    def __init__(self, path):
        reader = GGUFReader(path)
        self.fields = {name: field.contents() for name, field in reader.fields.items() if "tokenizer" not in name}
        self.weights = {tensor.name: numpy.asarray(dequantize(tensor.data, tensor.tensor_type), numpy.float64)
                        for tensor in reader.tensors}
        self.name = self.fields["general.architecture"]
        self.half_split, self.activation, self.scaled, self.pattern = FAMILIES[self.name]

    def key(self, suffix, default=None):
        value = self.fields.get(self.name + "." + suffix, default)
        assert value is not None, suffix
        return value

    def part(self, layer, name):
        return self.weights.get("blk.{}.{}".format(layer, name))


def rms_norm(x, weight, epsilon):
    return x / numpy.sqrt(numpy.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def linear(x, weight, bias):
    y = x @ weight.T
    return y if bias is None else y + bias


def rope(x, base, scale, factors, half_split):
    """x: [T, heads, K]; the row is the position."""
    pairs = x.shape[-1] // 2
    j = numpy.arange(pairs)
    angle = numpy.arange(x.shape[0])[:, None] * scale * base ** (-j / pairs) / factors
    cosine, sine = numpy.cos(angle)[:, None, :], numpy.sin(angle)[:, None, :]
    first, second = (slice(0, pairs), slice(pairs, None)) if half_split else (slice(0, None, 2), slice(1, None, 2))
    out = numpy.empty_like(x)
    out[..., first] = x[..., first] * cosine - x[..., second] * sine
    out[..., second] = x[..., first] * sine + x[..., second] * cosine
    return out


def attention(q, k, v, scale, window):
    """q: [T, H, K], k, v: [T, G, K] -> [T, H*K]."""
    tokens, heads, _ = q.shape
    group = heads // k.shape[1]
    t = numpy.arange(tokens)
    distance = t[:, None] - t[None, :]
    hidden = (distance < 0) | ((distance >= window) if window else False)
    out = numpy.empty_like(q)
    for h in range(heads):
        scores = numpy.where(hidden, -numpy.inf, q[:, h] @ k[:, h // group].T * scale)
        p = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, h] = p / p.sum(axis=1, keepdims=True) @ v[:, h // group]
    return out.reshape(tokens, -1)


def activate(kind, x):
    if kind == "silu":
        return x / (1 + numpy.exp(-x))
    return 0.5 * x * (1 + numpy.tanh(numpy.sqrt(2 / numpy.pi) * x * (1 + 0.044715 * x * x)))


def layer_rule(model, layer):
    """(window, rope base, rope scale) of a layer."""
    factor = model.key("rope.scaling.factor", 0.0)
    scale = 1 / factor if factor else 1.0
    window = model.key("attention.sliding_window", 0) if model.pattern else 0
    pattern = model.key("attention.sliding_window_pattern", model.pattern)
    if window and layer % pattern < pattern - 1:
        return window, model.key("rope.freq_base_swa", 10000.0), 1.0
    return 0, model.key("rope.freq_base", 10000.0), scale


def forward(model, ids):
    """Yields (checkpoint, [T, width])."""
    width, heads = model.key("embedding_length"), model.key("attention.head_count")
    groups, epsilon = model.key("attention.head_count_kv", heads), model.key("attention.layer_norm_rms_epsilon")
    size = model.key("attention.key_length", width // heads)
    factors = model.weights.get("rope_freqs.weight", numpy.ones(size // 2))
    embedding = model.weights["token_embd.weight"]
    x = embedding[ids] * (numpy.sqrt(width) if model.scaled else 1.0)
    tokens = len(ids)
    yield "embed", x
    for i in range(model.key("block_count")):
        at, part = "layer.{}.".format(i), lambda name: model.part(i, name)
        window, base, scale = layer_rule(model, i)
        h = rms_norm(x, part("attn_norm.weight"), epsilon)
        yield at + "attn.norm", h
        heads_of = {}
        for name, count in (("q", heads), ("k", groups), ("v", groups)):
            y = linear(h, part("attn_{}.weight".format(name)), part("attn_{}.bias".format(name)))
            yield at + "attn." + name, y
            heads_of[name] = y.reshape(tokens, count, size)
        for name in ("q", "k"):
            norm = part("attn_{}_norm.weight".format(name))
            if norm is not None:
                heads_of[name] = rms_norm(heads_of[name], norm, epsilon)
                yield at + "attn.{}_norm".format(name), heads_of[name]
        for name in ("q", "k"):
            heads_of[name] = rope(heads_of[name], base, scale, factors, model.half_split)
            yield at + "attn.{}_rope".format(name), heads_of[name]
        context = attention(heads_of["q"], heads_of["k"], heads_of["v"], 1 / numpy.sqrt(size), window)
        yield at + "attn.context", context
        y = linear(context, part("attn_output.weight"), part("attn_output.bias"))
        yield at + "attn.out", y
        if part("post_attention_norm.weight") is not None:
            y = rms_norm(y, part("post_attention_norm.weight"), epsilon)
            yield at + "attn.post_norm", y
        x = x + y
        yield at + "attn.residual", x
        h = rms_norm(x, part("ffn_norm.weight"), epsilon)
        yield at + "mlp.norm", h
        gate = linear(h, part("ffn_gate.weight"), part("ffn_gate.bias"))
        yield at + "mlp.gate", gate
        up = linear(h, part("ffn_up.weight"), part("ffn_up.bias"))
        yield at + "mlp.up", up
        act = activate(model.activation, gate) * up
        yield at + "mlp.act", act
        y = linear(act, part("ffn_down.weight"), part("ffn_down.bias"))
        yield at + "mlp.down", y
        if part("post_ffw_norm.weight") is not None:
            y = rms_norm(y, part("post_ffw_norm.weight"), epsilon)
            yield at + "mlp.post_norm", y
        x = x + y
        yield at + "out", x
    h = rms_norm(x, model.weights["output_norm.weight"], epsilon)
    yield "final.norm", h
    yield "logits", h @ model.weights.get("output.weight", embedding).T


def main(model_path, log_path, ids):
    logged = {}
    with open(log_path) as log:
        for line in log:
            entry = json.loads(line)
            logged[entry["checkpoint"], entry["token_idx"]] = numpy.array(entry["values"], numpy.float64)
    worst, where, compared, expected = 0.0, "", 0, 0
    for checkpoint, values in forward(Model(model_path), ids):
        for token, row in enumerate(values.reshape(len(ids), -1)):
            expected += 1
            ours = logged.get((checkpoint, token))
            if ours is None or ours.shape != row.shape:
                continue
            compared += 1
            error = float(numpy.abs(ours - row).max() / numpy.abs(row).max())
            if not error <= worst:
                worst, where = error, "{} of token {}".format(checkpoint, token)
    print(json.dumps({"worst": worst, "where": where, "compared": compared, "expected": expected,
                      "logged": len(logged)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(i) for i in sys.argv[3].split(",")])
