// SQLite at arm's length: a connection, a prepared statement, a transaction. Used by
// collector/store only.
#ifndef PARITY_COLLECTOR_STORE_DATABASE_H_
#define PARITY_COLLECTOR_STORE_DATABASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace parity::store {

class Database;
class RowScan;

// A prepared statement. Errors are sticky: a bind that fails shows at the next Step. Must not
// outlive its Database.
class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters count from 1. Text and blobs must live until Reset().
  void Bind(int index, int64_t value);
  void Bind(int index, int32_t value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, bool value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, double value);
  void Bind(int index, absl::string_view text);
  void Bind(int index, const char* text) { Bind(index, absl::string_view(text)); }
  void Bind(int index, const std::string& text) { Bind(index, absl::string_view(text)); }
  void BindBlob(int index, absl::string_view bytes);
  void BindNull(int index);
  template <typename T>
  void BindOptional(int index, const std::optional<T>& value) {
    value.has_value() ? Bind(index, *value) : BindNull(index);
  }

  // True: a row is there. False: done.
  absl::StatusOr<bool> Step();
  // Steps to the end and resets.
  absl::Status Run();
  // Ends the read, so that the statement holds no snapshot, and forgets the parameters.
  void Reset();

  // Columns count from 0; text and blobs live until the next Step or Reset.
  int64_t Int(int column) const;
  double Double(int column) const;
  absl::string_view Text(int column) const;
  bool IsNull(int column) const;

  sqlite3_stmt* handle() const { return statement_; }

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  void Note(int code);

  Database* database_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  int bind_error_ = 0;
};

// One connection, used by one thread at a time. Every error names the file.
class Database {
 public:
  enum class Mode {
    kReadOnly,
    kReadWrite,  // creates the file
    kImmutable,  // read-only file in a read-only directory: no locks, no WAL
  };
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::Status Execute(const char* sql);
  absl::StatusOr<Statement> Prepare(const char* sql);
  // The first column of the first row, as an integer.
  absl::StatusOr<int64_t> QueryInt(const char* sql);
  // Whether statements wait a while (5 s; the default) for other connections that are in the way.
  void SetWaiting(bool waiting);
  int64_t Changes() const;
  int64_t LastInsertId() const;
  bool InTransaction() const;

  // The connection's last error, translated.
  absl::Status Error(int code) const;

  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_; }

 private:
  friend class RowScan;
  explicit Database(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  sqlite3* handle_ = nullptr;
  RowScan* running_scan_ = nullptr;
};

// BEGIN IMMEDIATE ... COMMIT; rolls back when it goes out of scope uncommitted.
class Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(other.database_) {
    other.database_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // On failure the transaction is rolled back.
  absl::Status Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;
};

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_DATABASE_H_
