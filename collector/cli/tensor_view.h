// One stored tensor as text: its shape, its statistics and its first values.
#ifndef PARITY_COLLECTOR_CLI_TENSOR_VIEW_H_
#define PARITY_COLLECTOR_CLI_TENSOR_VIEW_H_

#include <string>

#include "absl/status/statusor.h"
#include "collector/cli/table.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::cli {

// `values`: how many to print, 0 for all. Tables begin with shape and statistics; the other formats
// are index and value alone (statistics of values that are not finite leave those out). DATA_LOSS
// when the payload does not fit its type.
absl::StatusOr<std::string> RenderTensor(const v1::Tensor& tensor, int64_t values, Format format,
                                         int width);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_TENSOR_VIEW_H_
