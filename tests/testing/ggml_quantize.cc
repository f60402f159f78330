#include "tests/testing/ggml_quantize.h"

#include <ggml.h>
#include <glog/logging.h>

namespace parity::testing {

std::string EncodeByGgml(kernels::DType dtype, absl::Span<const float> values, int64_t cols) {
  const auto type = static_cast<ggml_type>(dtype);
  const int64_t rows = static_cast<int64_t>(values.size()) / cols;
  CHECK(cols % ggml_blck_size(type) == 0 && rows * cols == static_cast<int64_t>(values.size()));
  std::string out(ggml_row_size(type, cols) * rows, '\0');
  const size_t written =
      ggml_quantize_chunk(type, values.data(), out.data(), 0, rows, cols, /*imatrix=*/nullptr);
  CHECK_EQ(written, out.size());
  return out;
}

}  // namespace parity::testing
