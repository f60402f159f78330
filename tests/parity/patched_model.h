// Changed copies of a model file, in memory: how the tests plant an error in one engine's weights.
#ifndef PARITY_TESTS_PARITY_PATCHED_MODEL_H_
#define PARITY_TESTS_PARITY_PATCHED_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/model/gguf_file.h"

namespace parity::testing {

// A copy of the file whose Q4_1 block `block` of row `row` of `tensor` has its scale multiplied by
// `factor`.
absl::StatusOr<std::shared_ptr<const model::GgufFile>> WithScaledBlock(const std::string& path,
                                                                       absl::string_view tensor,
                                                                       int64_t row, int64_t block,
                                                                       float factor);

// A copy of the file with one more tensor: F32, one-dimensional. REQUIRES: the file's alignment
// is 32.
absl::StatusOr<std::shared_ptr<const model::GgufFile>> WithVector(const std::string& path,
                                                                  absl::string_view name,
                                                                  absl::Span<const float> values);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_PATCHED_MODEL_H_
