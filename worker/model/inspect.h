// What `parity-worker inspect` says of a GGUF file.
#ifndef PARITY_WORKER_MODEL_INSPECT_H_
#define PARITY_WORKER_MODEL_INSPECT_H_

#include <cstdint>
#include <string>

#include "worker/model/gguf_file.h"

namespace parity::model {

// Bytes of weights that one decoded token reads: everything, but of a table that is not the output
// as well only the token's row.
int64_t BytesPerToken(const GgufFile& file);

// Aligned text for a terminal: file and sha256, whether this build can run it (and if not, why),
// hyper-parameters, bytes of weights a decoded token reads, table of types, tensor list, metadata.
// Text from the file is escaped. Ends with
// a newline.
std::string InspectText(const GgufFile& file);

// The same as one JSON object with the keys file, size_bytes, sha256, supported,
// unsupported_reason, architecture, weight_type, bytes_per_token, config, types, tensors, metadata.
// Ends with a newline.
std::string InspectJson(const GgufFile& file);

}  // namespace parity::model

#endif  // PARITY_WORKER_MODEL_INSPECT_H_
