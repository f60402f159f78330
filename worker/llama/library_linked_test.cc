#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"
#include "worker/llama/library.h"

namespace parity::llama {
namespace {

// Two copies would each have tables of their own.
TEST(LibraryLinkedTest, WhatIsLinkedIsWhatIsOpened) {
  ASSERT_OK(StartLibrary(""));
  EXPECT_EQ(Library().llama_decode, &::llama_decode);
  EXPECT_EQ(Library().ggml_backend_tensor_get, &::ggml_backend_tensor_get);
}

}  // namespace
}  // namespace parity::llama
