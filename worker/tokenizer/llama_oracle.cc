#include "worker/tokenizer/llama_oracle.h"

#include <cstdlib>
#include <stdexcept>

namespace parity::tokenizer {

namespace {

void Silent(ggml_log_level, const char*, void*) {}

}  // namespace

std::string ParityCache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string root = cache != nullptr  ? std::string(cache)
                           : home != nullptr ? std::string(home) + "/.cache"
                                             : "";
  return root + "/parity/";
}

std::unique_ptr<LlamaOracle> LlamaOracle::Load(const std::string& path) {
  llama_log_set(Silent, nullptr);
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  std::unique_ptr<LlamaOracle> oracle(new LlamaOracle());
  oracle->model_.reset(llama_model_load_from_file(path.c_str(), params));
  if (oracle->model_ == nullptr) return nullptr;
  oracle->vocab_ = llama_model_get_vocab(oracle->model_.get());
  return oracle;
}

std::optional<std::vector<int32_t>> LlamaOracle::Ids(absl::string_view text,
                                                     const EncodeOptions& options) const {
  std::vector<int32_t> ids(4 * text.size() + 8);  // an invalid byte becomes three
  try {
    const int32_t n = llama_tokenize(vocab_, text.data(), static_cast<int32_t>(text.size()),
                                     ids.data(), static_cast<int32_t>(ids.size()),
                                     options.add_special, options.parse_special);
    ids.resize(n < 0 ? 0 : n);
    return ids;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::string LlamaOracle::Piece(int32_t id, bool print_special) const {
  std::string buffer(1 << 12, '\0');
  int32_t n = llama_token_to_piece(vocab_, id, buffer.data(), static_cast<int32_t>(buffer.size()),
                                   0, print_special);
  if (n < 0) {
    buffer.resize(-n);
    n = llama_token_to_piece(vocab_, id, buffer.data(), -n, 0, print_special);
  }
  buffer.resize(n);
  return buffer;
}

bool HasCodePointTooHigh(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (size_t i = 0; i + 4 <= text.size(); ++i) {
    const bool above = byte(i) >= 0xF5 ? byte(i) <= 0xF7 : byte(i) == 0xF4 && byte(i + 1) >= 0x90;
    if (above && (byte(i + 1) & 0xC0) == 0x80 && (byte(i + 2) & 0xC0) == 0x80 &&
        (byte(i + 3) & 0xC0) == 0x80) {
      return true;
    }
  }
  return false;
}

}  // namespace parity::tokenizer
