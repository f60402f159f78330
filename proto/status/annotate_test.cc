#include "proto/status/annotate.h"

#include <gtest/gtest.h>

namespace parity {
namespace {

TEST(AnnotateTest, PutsTheSubjectInFront) {
  const absl::Status status = Annotate(absl::NotFoundError("no such run"), "run 'a'");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "run 'a': no such run");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "run 'a'").ok());
}

}  // namespace
}  // namespace parity
