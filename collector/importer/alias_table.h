// Maps checkpoint names of other naming schemes to ours.
#ifndef PARITY_COLLECTOR_IMPORTER_ALIAS_TABLE_H_
#define PARITY_COLLECTOR_IMPORTER_ALIAS_TABLE_H_

#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace parity::importer {

// Names of llama.cpp's graph nodes (DESIGN 5), of GGUF tensors and of Hugging Face modules are
// built in. llama.cpp calls several nodes "Qcur-3": a log keeps the last of them, which is after
// RoPE.
class AliasTable {
 public:
  // `aliases`: pattern to name, with at most one "{i}" in each, the same in both. They come before
  // the built-in ones and before our own names. INVALID_ARGUMENT names the pattern.
  static absl::StatusOr<AliasTable> Create(const std::map<std::string, std::string>& aliases);

  // The name to store. A name nobody knows is returned as it is.
  const std::string& Resolve(const std::string& name);

 private:
  AliasTable() = default;
  std::string Find(const std::string& name) const;

  absl::flat_hash_map<std::string, std::string> own_;
  absl::flat_hash_map<std::string, std::string> built_in_;
  absl::flat_hash_map<std::string, std::string> resolved_;
};

}  // namespace parity::importer

#endif  // PARITY_COLLECTOR_IMPORTER_ALIAS_TABLE_H_
