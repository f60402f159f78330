// The oracle for our test files is libllama: it loads and runs every shape and type that TinyModel
// writes.
#include <gtest/gtest.h>
#include <llama.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"

namespace parity::testing {
namespace {

void Silent(ggml_log_level, const char*, void*) {}

// The last token's logits, or nothing when the file does not load.
std::vector<float> LogitsByLlama(const std::string& path) {
  llama_log_set(Silent, nullptr);
  llama_model_params model_params = llama_model_default_params();
  model_params.n_gpu_layers = 0;
  llama_model* model = llama_model_load_from_file(path.c_str(), model_params);
  if (model == nullptr) return {};
  llama_context_params context_params = llama_context_default_params();
  context_params.n_ctx = 64;
  context_params.n_threads = 1;
  context_params.n_threads_batch = 1;
  llama_context* context = llama_init_from_model(model, context_params);
  std::vector<llama_token> ids = {5, 100, 200, 259};
  std::vector<float> logits;
  if (llama_decode(context, llama_batch_get_one(ids.data(), static_cast<int32_t>(ids.size()))) ==
      0) {
    const float* row = llama_get_logits_ith(context, -1);
    logits.assign(row, row + llama_vocab_n_tokens(llama_model_get_vocab(model)));
  }
  llama_free(context);
  llama_model_free(model);
  return logits;
}

class TinyModelLlamaTest : public ::testing::TestWithParam<kernels::DType> {};

TEST_P(TinyModelLlamaTest, LibllamaRunsIt) {
  const std::string path = ::testing::TempDir() + "/tiny.gguf";
  for (const bool variant : {false, true}) {
    TinyModelOptions options;
    options.matrices = options.embedding = options.output = GetParam();
    options.tied = !variant;
    options.rope_freqs = variant;
    options.biases = variant;
    options.head_size = variant ? 32 : 0;
    options.vocabulary = variant ? 321 : 384;
    ASSERT_OK(WriteTinyModel(options, path));
    const std::vector<float> logits = LogitsByLlama(path);
    ASSERT_EQ(static_cast<int32_t>(logits.size()), options.vocabulary);
    double squares = 0;
    for (float v : logits) squares += static_cast<double>(v) * v;
    // A model whose logits are finite and of real size: neither all zero nor blown up.
    EXPECT_GT(std::sqrt(squares / logits.size()), 0.2);
    EXPECT_LT(std::sqrt(squares / logits.size()), 20.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, TinyModelLlamaTest,
                         ::testing::Values(kernels::DType::kF32, kernels::DType::kF16,
                                           kernels::DType::kBF16, kernels::DType::kQ4_0,
                                           kernels::DType::kQ4_1, kernels::DType::kQ8_0));

}  // namespace
}  // namespace parity::testing
