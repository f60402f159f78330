#include "worker/engine/model_weights.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "kernels/cpu/cpu_backend.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/model/gguf_file.h"
#include "worker/model/model_config.h"

namespace parity::engine {
namespace {

// What the CPU backend holds beside the file.
int64_t ResidentBytes(bool tied) {
  const std::string bytes = parity::testing::TinyModel({.tied = tied,
                                                        .matrices = kernels::DType::kQ8_0,
                                                        .embedding = kernels::DType::kQ8_0,
                                                        .output = kernels::DType::kQ8_0})
                                .Serialize();
  auto file = model::GgufFile::FromBytes(
      "tiny.gguf", {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  EXPECT_OK(file);
  auto config = model::ReadConfig(**file);
  EXPECT_OK(config);
  EXPECT_EQ(config->tied_embeddings, tied);
  auto backend = kernels::CpuBackend::Create({});
  EXPECT_OK(backend);
  auto weights = LoadWeights(**file, *config, **backend);
  EXPECT_OK(weights);
  EXPECT_EQ(weights->output_own == nullptr, tied);
  return weights->resident_bytes;
}

TEST(ModelWeightsTest, AnEmbeddingThatIsOnlyLookedUpIsNotPacked) {
  // A packed head each: the embedding when tied, the output otherwise.
  EXPECT_EQ(ResidentBytes(/*tied=*/false), ResidentBytes(/*tied=*/true));
}

}  // namespace
}  // namespace parity::engine
