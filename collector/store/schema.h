// The tables and views (a public interface: dashboards read the file), and how a file is opened.
#ifndef PARITY_COLLECTOR_STORE_SCHEMA_H_
#define PARITY_COLLECTOR_STORE_SCHEMA_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector/store/database.h"

namespace parity::store {

inline constexpr int32_t kApplicationId = 0x50524954;  // "PRIT"
inline constexpr int kSchemaVersion = 1;               // PRAGMA user_version

// Connection of the one writer: creates the schema in a new file, migrates an older one, refuses a
// newer one, another program's database and what is no database at all (INVALID_ARGUMENT, naming
// the file). REQUIRES: the StoreLock of `path` is held.
// With `write_once`, a new file that nobody else has locked comes back InTransaction(): the schema
// is its beginning, and no write-ahead log is kept until EndWriteOnce().
absl::StatusOr<std::unique_ptr<Database>> OpenForWriting(const std::string& path,
                                                         bool write_once = false);

// After that transaction's end: makes the file and the connection what OpenForWriting() makes them
// otherwise. A file whose transaction was rolled back gets its schema. UNAVAILABLE: somebody reads,
// so the file keeps its rollback journal, which is as safe, till it is next opened for writing.
absl::Status EndWriteOnce(Database& database);

// Connection of a reader; writes nothing but the undoing of what a crash cut short. An older schema
// is refused: opening the file for writing migrates it.
absl::StatusOr<std::unique_ptr<Database>> OpenForReading(const std::string& path);

// The database's file, then what SQLite may keep beside it.
std::vector<std::string> FilesOf(const std::string& path);

// Removes a database that holds no run, with FilesOf() it. One that holds any, or that cannot be
// read, stays. REQUIRES: the StoreLock of `path` is held, and no connection of this process lives.
void RemoveIfUnused(const std::string& path);

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_SCHEMA_H_
