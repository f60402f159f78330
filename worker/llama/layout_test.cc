#include "worker/llama/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/testing/status_matchers.h"

namespace parity::llama {
namespace {

using parity::testing::StatusIs;
using ::testing::StartsWith;

// The functions of the library that this test is linked with.
Functions Linked() {
  Functions f;
#define PARITY_LLAMA_TAKE(name) f.name = &::name;
  PARITY_LLAMA_FUNCTIONS(PARITY_LLAMA_TAKE)
#undef PARITY_LLAMA_TAKE
  return f;
}

auto Refused(const std::string& structure, const std::string& field) {
  return StatusIs(
      absl::StatusCode::kFailedPrecondition,
      StartsWith("l.so: its " + structure +
                 " has another layout than this program was built for (" + field + ")"));
}

TEST(LayoutTest, TheHeadersOwnLibraryPasses) { EXPECT_OK(CheckLayout(Linked(), "l.so")); }

TEST(LayoutTest, FieldsOfModelParametersThatMoved) {
  Functions f = Linked();
  f.llama_model_default_params = [] {
    llama_model_params p = ::llama_model_default_params();
    std::swap(p.main_gpu, p.n_gpu_layers);
    return p;
  };
  EXPECT_THAT(CheckLayout(f, "l.so"), Refused("llama_model_params", "main_gpu"));
}

TEST(LayoutTest, FieldsOfContextParametersThatMoved) {
  Functions f = Linked();
  f.llama_context_default_params = [] {
    llama_context_params p = ::llama_context_default_params();
    p.type_v = GGML_TYPE_F32;
    return p;
  };
  EXPECT_THAT(CheckLayout(f, "l.so"), Refused("llama_context_params", "type_v"));
}

TEST(LayoutTest, FieldsOfTensorsThatMoved) {
  Functions f = Linked();
  f.ggml_mul_mat = [](ggml_context* context, ggml_tensor* a, ggml_tensor* b) {
    ggml_tensor* const node = ::ggml_mul_mat(context, a, b);
    std::swap(node->src[1], node->src[2]);
    return node;
  };
  EXPECT_THAT(CheckLayout(f, "l.so"), Refused("ggml_tensor", "src"));
  f = Linked();
  f.ggml_get_name = [](const ggml_tensor* tensor) { return ::ggml_get_name(tensor) + 8; };
  EXPECT_THAT(CheckLayout(f, "l.so"), Refused("ggml_tensor", "name"));
}

// An operation that came before the product in ggml.h's list shifts every later one.
TEST(LayoutTest, OperationsThatMoved) {
  Functions f = Linked();
  f.ggml_mul_mat = [](ggml_context* context, ggml_tensor* a, ggml_tensor* b) {
    ggml_tensor* const node = ::ggml_mul_mat(context, a, b);
    node->op = static_cast<ggml_op>(node->op + 1);
    return node;
  };
  EXPECT_THAT(CheckLayout(f, "l.so"), Refused("ggml_tensor", "op"));
}

}  // namespace
}  // namespace parity::llama
