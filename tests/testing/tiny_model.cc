#include "tests/testing/tiny_model.h"

#include <glog/logging.h>

#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace parity::testing {

namespace {

// Merged letter by letter from the left, so every prefix is a token too.
constexpr char kWords[] =
    " the and ing tion ion er re on at en in it is or es ed al st nd to of for he you that was "
    "with this have from "
    "his are they not but what all were when your can said there use each which she how their will "
    "other about out "
    "many then them these some her would make like him into time has look two more write see "
    "number way could "
    "people hello world token model engine return value print function import const while";

void AppendUtf8(std::string& out, uint32_t cpt) {
  CHECK_LT(cpt, 0x800u);
  if (cpt < 0x80) {
    out.push_back(static_cast<char>(cpt));
  } else {
    out.push_back(static_cast<char>(0xc0 | (cpt >> 6)));
    out.push_back(static_cast<char>(0x80 | (cpt & 0x3f)));
  }
}

// GPT-2's byte map: the printable Latin-1 bytes stand for themselves, the others for U+0100
// onwards.
std::vector<std::string> ByteTokens() {
  std::vector<std::string> tokens;
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
    std::string token;
    AppendUtf8(token, printable ? b : next++);
    tokens.push_back(token);
  }
  return tokens;
}

// llama-quantize's use_more_bits: the first and last eighth of the layers, and every third between.
bool TakesMoreBits(int32_t layer, int32_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

class Builder {
 public:
  Builder(const TinyModelOptions& options, GgufWriter& writer)
      : o_(options), writer_(writer), deviates_(options.seed) {}

  // Rows of N(0, deviation) with one channel in 29 three times as large, as trained weights have.
  void Matrix(const std::string& name, int64_t cols, int64_t rows, kernels::DType dtype,
              float deviation) {
    dtype = FittingType(dtype, cols);
    if (o_.blocks != nullptr) {
      const std::vector<uint8_t> bytes =
          o_.blocks(dtype, rows, cols, static_cast<uint32_t>(deviates_.NextBits()));
      writer_.AddTensor(name, {cols, rows}, static_cast<uint32_t>(dtype),
                        std::string(bytes.begin(), bytes.end()));
      return;
    }
    std::vector<float> values(cols * rows);
    for (int64_t i = 0; i < cols * rows; ++i) {
      const bool outlier = (i % cols) % 29 == 7;
      values[i] = deviates_.Next() * deviation * (outlier ? 3.0f : 1.0f);
    }
    writer_.AddTensor(name, {cols, rows}, static_cast<uint32_t>(dtype),
                      o_.encode(dtype, values, cols));
  }

  void Vector(const std::string& name, int64_t size, float mean, float deviation,
              float outlier = 1.0f) {
    std::vector<float> values(size);
    for (float& v : values) v = mean + deviates_.Next() * deviation;
    values[13 % size] *= outlier;
    writer_.AddTensor(name, {size}, 0, EncodeValues(kernels::DType::kF32, values));
  }

  void Layer(int32_t layer, int64_t head_size) {
    const std::string p = absl::StrCat("blk.", layer, ".");
    const int64_t d = o_.width;
    const int64_t q = o_.heads * head_size;
    const int64_t kv = o_.kv_heads * head_size;
    const float in_d = 1.0f / std::sqrt(static_cast<float>(d));
    const kernels::DType more_bits =
        TakesMoreBits(layer, o_.layers) ? o_.more_bits.value_or(o_.matrices) : o_.matrices;
    Vector(p + "attn_norm.weight", d, 1.0f, 0.2f, o_.outlier);
    Matrix(p + "attn_q.weight", d, q, o_.matrices, 1.5f * in_d);
    Matrix(p + "attn_k.weight", d, kv, o_.matrices, 1.5f * in_d);
    Matrix(p + "attn_v.weight", d, kv, more_bits, in_d);
    Matrix(p + "attn_output.weight", q, d, o_.matrices, 1.0f / std::sqrt(static_cast<float>(q)));
    const bool llama = o_.architecture == "llama";
    if (o_.architecture == "qwen2" || (llama && o_.biases)) {
      Vector(p + "attn_q.bias", q, 0.0f, 0.5f);
      Vector(p + "attn_k.bias", kv, 0.0f, 0.5f);
      Vector(p + "attn_v.bias", kv, 0.0f, 0.5f);
    }
    if (llama && o_.biases) Vector(p + "attn_output.bias", d, 0.0f, 0.5f);
    if (o_.architecture == "qwen3" || o_.architecture == "gemma3") {
      Vector(p + "attn_q_norm.weight", head_size, 1.0f, 0.2f);
      Vector(p + "attn_k_norm.weight", head_size, 1.0f, 0.2f);
    }
    if (o_.architecture == "gemma3") {
      Vector(p + "post_attention_norm.weight", d, 1.0f, 0.2f);
      Vector(p + "post_ffw_norm.weight", d, 1.0f, 0.2f);
    }
    Vector(p + "ffn_norm.weight", d, 1.0f, 0.2f, o_.outlier);
    Matrix(p + "ffn_gate.weight", d, o_.feed_forward, o_.matrices, in_d);
    Matrix(p + "ffn_up.weight", d, o_.feed_forward, o_.matrices, in_d);
    Matrix(p + "ffn_down.weight", o_.feed_forward, d, more_bits,
           1.0f / std::sqrt(static_cast<float>(o_.feed_forward)));
    if (llama && o_.mlp_biases) {
      Vector(p + "ffn_gate.bias", o_.feed_forward, 0.0f, 0.5f);
      Vector(p + "ffn_up.bias", o_.feed_forward, 0.0f, 0.5f);
      Vector(p + "ffn_down.bias", d, 0.0f, 0.5f);
    }
  }

 private:
  const TinyModelOptions& o_;
  GgufWriter& writer_;
  Deviates deviates_;
};

void AddHyperParameters(GgufWriter& w, const TinyModelOptions& o) {
  const std::string p = o.architecture + ".";
  w.AddString("general.architecture", o.architecture);
  w.AddString("general.name", "tiny");
  w.AddU32(p + "block_count", o.layers);
  w.AddU32(p + "context_length", o.context_tokens);
  w.AddU32(p + "embedding_length", o.width);
  w.AddU32(p + "feed_forward_length", o.feed_forward);
  w.AddU32(p + "attention.head_count", o.heads);
  w.AddU32(p + "attention.head_count_kv", o.kv_heads);
  w.AddF32(p + "attention.layer_norm_rms_epsilon", o.rms_epsilon);
  w.AddF32(p + "rope.freq_base", o.rope_base);
  if (o.head_size != 0) {
    w.AddU32(p + "attention.key_length", o.head_size);
    w.AddU32(p + "attention.value_length", o.head_size);
    w.AddU32(p + "rope.dimension_count", o.head_size);
  }
  if (o.rope_scaling != 0) {
    w.AddString(p + "rope.scaling.type", "linear");
    w.AddF32(p + "rope.scaling.factor", o.rope_scaling);
  }
  if (o.architecture == "gemma3") {
    w.AddU32(p + "attention.sliding_window", o.window);
    if (o.window_pattern != 0) {
      w.AddU32(p + "attention.sliding_window_pattern", o.window_pattern);
    }
    w.AddF32(p + "rope.freq_base_swa", o.rope_base / 16);
  }
  w.AddU32(p + "vocab_size", o.vocabulary);
}

}  // namespace

std::string EncodeByRounding(kernels::DType dtype, absl::Span<const float> values, int64_t) {
  return EncodeValues(dtype, values);
}

kernels::DType FittingType(kernels::DType dtype, int64_t cols) {
  using kernels::DType;
  if (cols % kernels::Traits(dtype).block_elements == 0) return dtype;
  if (cols % 32 != 0) return DType::kF16;
  switch (dtype) {
    case DType::kQ2_K:
    case DType::kQ3_K:
      return DType::kQ4_0;
    case DType::kQ5_K:
      return DType::kQ5_1;
    case DType::kQ6_K:
      return DType::kQ8_0;
    default:
      return DType::kQ5_0;
  }
}

uint64_t Deviates::NextBits() {
  // splitmix64.
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

float Deviates::Next() {
  int64_t sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<int64_t>(NextBits() >> 40);
  // Twelve uniforms in [0, 2^24) have mean 6 * 2^24 and deviation 2^24.
  return static_cast<float>(sum - 6 * (int64_t{1} << 24)) / static_cast<float>(1 << 24);
}

void AddTinyVocabulary(GgufWriter& writer, int32_t tokens) {
  const std::vector<std::string> bytes = ByteTokens();
  CHECK_GE(tokens, 260);
  std::vector<std::string> texts = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"};
  std::vector<int32_t> types(texts.size(), 3);  // control
  texts.insert(texts.end(), bytes.begin(), bytes.end());
  std::set<std::string> known(texts.begin(), texts.end());
  std::vector<std::string> merges;
  for (absl::string_view word : absl::StrSplit(kWords, ' ', absl::SkipEmpty())) {
    std::string left = bytes[' '];  // every word begins with its space
    for (char c : word) {
      const std::string& right = bytes[static_cast<uint8_t>(c)];
      if (static_cast<int32_t>(texts.size()) < tokens && known.insert(left + right).second) {
        merges.push_back(absl::StrCat(left, " ", right));
        texts.push_back(left + right);
      }
      left += right;
    }
  }
  while (static_cast<int32_t>(texts.size()) < tokens) {
    texts.push_back(absl::StrCat("filler", texts.size()));
  }
  types.resize(texts.size(), 1);  // normal
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", "smollm");
  writer.AddStrings("tokenizer.ggml.tokens", texts);
  writer.AddI32s("tokenizer.ggml.token_type", types);
  writer.AddStrings("tokenizer.ggml.merges", merges);
  writer.AddU32("tokenizer.ggml.bos_token_id", kTinyEndOfText);
  writer.AddU32("tokenizer.ggml.eos_token_id", kTinyImEnd);
  writer.AddU32("tokenizer.ggml.unknown_token_id", kTinyEndOfText);
  writer.AddU32("tokenizer.ggml.padding_token_id", kTinyPad);
  writer.AddBool("tokenizer.ggml.add_bos_token", false);
}

GgufWriter TinyModel(const TinyModelOptions& options) {
  GgufWriter writer;
  AddHyperParameters(writer, options);
  AddTinyVocabulary(writer, options.vocabulary);
  Builder builder(options, writer);
  const int64_t head_size =
      options.head_size != 0 ? options.head_size : options.width / options.heads;
  // Logits of a few units: rows of the output are unit vectors times a little more than one.
  // (gemma3 multiplies the embeddings by the root of the width.)
  const float row = 1.5f / std::sqrt(static_cast<float>(options.width));
  builder.Matrix("token_embd.weight", options.width, options.vocabulary, options.embedding,
                 options.tied ? row : 0.3f);
  if (options.rope_freqs) {
    std::vector<float> factors(head_size / 2);
    for (size_t j = 0; j < factors.size(); ++j) {
      factors[j] = 1.0f + 7.0f * static_cast<float>(j) / static_cast<float>(factors.size());
    }
    writer.AddTensor("rope_freqs.weight", {head_size / 2}, 0,
                     EncodeValues(kernels::DType::kF32, factors));
  }
  for (int32_t i = 0; i < options.layers; ++i) builder.Layer(i, head_size);
  builder.Vector("output_norm.weight", options.width, 1.0f, 0.2f);
  if (!options.tied) {
    builder.Matrix("output.weight", options.width, options.vocabulary, options.output, row);
  }
  return writer;
}

absl::Status WriteTinyModel(const TinyModelOptions& options, const std::string& path) {
  return TinyModel(options).Write(path);
}

}  // namespace parity::testing
