#include "worker/tokenizer/pre_tokenizer.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/tokenizer/code_point_class.h"

namespace parity::tokenizer {

namespace {

// libllama's names, but for "whitespace".
struct Named {
  absl::string_view names;  // separated by spaces
  PreTokenizer pre;
};

constexpr Named kNamed[] = {
    {"default", {}},
    {"gpt-2 phi-2 mpt olmo jais trillion exaone4 granite-docling gigachat a.x-4.0 mellum "
     "modern-bert jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe",
     {.splitter = Splitter::kGpt2}},
    {"smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
     {.splitter = Splitter::kSmollm}},
    {"falcon", {.splitter = Splitter::kFalcon}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     {.splitter = Splitter::kLlama3, .ignore_merges = true, .add_bos = true}},
    {"smaug-bpe dbrx", {.splitter = Splitter::kLlama3}},
    {"chatglm-bpe", {.splitter = Splitter::kLlama3, .default_bos = false}},
    {"glm4 glm5", {.splitter = Splitter::kLlama3, .ignore_merges = true, .default_bos = false}},
    {"minicpm5", {.splitter = Splitter::kMiniCpm5, .ignore_merges = true}},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan solar-open grok-2 bailingmoe "
     "bailingmoe2 llada-moe",
     {.splitter = Splitter::kQwen2}},
    {"qwen35", {.splitter = Splitter::kQwen35}},
    {"ufakzeka", {.splitter = Splitter::kUfakzeka}},
    {"laguna", {.splitter = Splitter::kLaguna}},
    {"seed-coder", {.splitter = Splitter::kSeedCoder}},
    {"jais-2", {.splitter = Splitter::kJais2}},
    {"exaone-moe", {.splitter = Splitter::kExaoneMoe}},
    {"deepseek-llm", {.splitter = Splitter::kDeepseekLlm}},
    {"deepseek-coder", {.splitter = Splitter::kDeepseekCoder}},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {.splitter = Splitter::kDeepseek3}},
    {"spark2_5", {.splitter = Splitter::kSpark25}},
    {"youtu", {.splitter = Splitter::kYoutu, .ignore_merges = true}},
    {"poro-chat bloom gpt3-finnish", {.splitter = Splitter::kPoro}},
    {"viking", {.splitter = Splitter::kViking}},
    {"tekken", {.splitter = Splitter::kTekken, .ignore_merges = true, .add_bos = true}},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {.splitter = Splitter::kGpt4o}},
    {"granite-embed-multi-97m",
     {.splitter = Splitter::kGraniteMultilingual, .ignore_merges = true}},
    {"tiny_aya cohere2moe", {.splitter = Splitter::kTinyAya}},
    {"superbpe", {.splitter = Splitter::kSuperBpe}},
    {"chameleon", {.splitter = Splitter::kChameleon, .add_bos = true}},
    {"kimi-k2", {.splitter = Splitter::kKimiK2, .merges_required = false}},
    {"afmoe", {.splitter = Splitter::kAfmoe}},
    {"gemma4 granite-embed-multi-311m",
     {.splitter = Splitter::kLines,
      .characters = true,
      .whole_line_ends = true,
      .force_bos = true}},
    {"sarvam-moe", {.splitter = Splitter::kLines, .characters = true}},
};

}  // namespace

absl::StatusOr<PreTokenizer> FindPreTokenizer(absl::string_view name) {
  if (name.empty()) return PreTokenizer{};
  size_t count = 0;
  for (const Named& named : kNamed) {
    for (absl::string_view known : absl::StrSplit(named.names, ' ')) {
      if (name == known) return named.pre;
      ++count;
    }
  }
  return absl::UnimplementedError(absl::StrCat("pre-tokenizer '",
                                               absl::CHexEscape(name.substr(0, 64)),
                                               "' is not one of the ", count, " supported"));
}

std::vector<std::string> PreTokenizerNames() {
  std::vector<std::string> all;
  for (const Named& named : kNamed) {
    for (absl::string_view name : absl::StrSplit(named.names, ' ')) all.emplace_back(name);
  }
  return all;
}

std::vector<size_t> SplitWords(Splitter splitter, absl::Span<const uint32_t> text) {
  const std::vector<uint8_t> classes = Classes(text);
  Lengths pieces;
  if (!text.empty()) pieces.push_back(text.size());
  for (const Pass pass : Passes(splitter)) {
    Lengths next;
    next.reserve(pieces.size());
    size_t begin = 0;
    for (const size_t length : pieces) {
      pass({text.subspan(begin, length), absl::MakeConstSpan(classes).subspan(begin, length)},
           next);
      begin += length;
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace parity::tokenizer
