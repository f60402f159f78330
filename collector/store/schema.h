// The tables and views (a public interface: dashboards read the file), and how a file is opened.
#ifndef PARITY_COLLECTOR_STORE_SCHEMA_H_
#define PARITY_COLLECTOR_STORE_SCHEMA_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "collector/store/database.h"

namespace parity::store {

inline constexpr int32_t kApplicationId = 0x50524954;  // "PRIT"
inline constexpr int kSchemaVersion = 1;               // PRAGMA user_version

// Connection of the one writer: creates the schema in a new file, migrates an older one, refuses a
// newer one, another program's database and what is no database at all (INVALID_ARGUMENT, naming
// the file). REQUIRES: the StoreLock of `path` is held.
absl::StatusOr<std::unique_ptr<Database>> OpenForWriting(const std::string& path);

// Connection of a reader; never writes. An older schema is refused: opening the file for writing
// migrates it.
absl::StatusOr<std::unique_ptr<Database>> OpenForReading(const std::string& path);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_SCHEMA_H_
