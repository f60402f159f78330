#include <glog/logging.h>

#include "tests/testing/ggml_quantize.h"

namespace parity::testing {

std::string EncodeByGgml(kernels::DType, absl::Span<const float>, int64_t) {
  LOG(FATAL) << "built without libllama; run deploy/fetch llama";
}

}  // namespace parity::testing
