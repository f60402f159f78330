// libggml's own quantiser: rows as llama-quantize writes them.
#ifndef PARITY_TESTS_TESTING_GGML_QUANTIZE_H_
#define PARITY_TESTS_TESTING_GGML_QUANTIZE_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "kernels/dtype.h"

namespace parity::testing {

// Bytes of rows of `cols` values by ggml_quantize_chunk, without an importance matrix; an Encoder
// of tiny_model.h. REQUIRES: cols is a multiple of the type's block; libllama is there (a build
// without it dies here: tests skip before).
std::string EncodeByGgml(kernels::DType dtype, absl::Span<const float> values, int64_t cols);

}  // namespace parity::testing

#endif  // PARITY_TESTS_TESTING_GGML_QUANTIZE_H_
