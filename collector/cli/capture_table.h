// The table of captures that `parity runs` and `parity show` print.
#ifndef PARITY_COLLECTOR_CLI_CAPTURE_TABLE_H_
#define PARITY_COLLECTOR_CLI_CAPTURE_TABLE_H_

#include <google/protobuf/repeated_ptr_field.h>

#include "collector/cli/table.h"
#include "parity/v1/collector.pb.h"

namespace parity::cli {

// One row a capture; a run without any has one row with nothing but its name.
Table CaptureTable(const google::protobuf::RepeatedPtrField<v1::Run>& runs);

}  // namespace parity::cli

#endif  // PARITY_COLLECTOR_CLI_CAPTURE_TABLE_H_
