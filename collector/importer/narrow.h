// Stores floats in the 16-bit type a log names, when that loses nothing.
#ifndef PARITY_COLLECTOR_IMPORTER_NARROW_H_
#define PARITY_COLLECTOR_IMPORTER_NARROW_H_

#include <string>

#include "absl/types/span.h"
#include "parity/v1/checkpoint.pb.h"

namespace parity::importer {

// Writes `values` to `data` as `wanted` if every value is exactly one of that type (any NaN is),
// else as F32. Returns the type written.
v1::DType EncodeExactly(v1::DType wanted, absl::Span<const float> values, std::string* data);

}  // namespace parity::importer

#endif  // PARITY_COLLECTOR_IMPORTER_NARROW_H_
