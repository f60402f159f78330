#include "kernels/cuda/cuda_factory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace parity::kernels::cuda {
namespace {

using ::parity::testing::StatusIs;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// Whatever this machine has, there is a backend or a reason that names who refused; never a
// fall-back.
TEST(CreateCudaBackendTest, GivesABackendOrTheReason) {
  const auto backend = CreateCudaBackend({});
  if (backend.ok()) {
    EXPECT_EQ((*backend)->name(), "cuda");
    return;
  }
  EXPECT_THAT(backend,
              AnyOf(StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("no CUDA toolkit")),
                    StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("compute capability")),
                    StatusIs(absl::StatusCode::kUnavailable, HasSubstr("the driver answers: ")),
                    StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cuBLAS"))));
}

TEST(CreateCudaBackendTest, RefusesWhatACardCannotHold) {
  if (!CreateCudaBackend({}).ok()) GTEST_SKIP() << "no card: " << CreateCudaBackend({}).status();
  EXPECT_THAT((*CreateCudaBackend({}))->Prepare({.weight_bytes = int64_t{1} << 60}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(" free on ")));
  EXPECT_THAT(CreateCudaBackend({.device = 4096}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no CUDA device 4096")));
}

}  // namespace
}  // namespace parity::kernels::cuda
