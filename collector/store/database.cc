#include "collector/store/database.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

constexpr int kMaxValueBytes = 64 << 20;  // no blob of ours is larger: a tensor has at most 16 MiB
constexpr int kBusyMillis = 5000;         // another process checkpointing, or a dashboard

// Paths of the file system, never URIs, except where a URI parameter is needed.
std::string OpenName(const std::string& path, bool immutable) {
  if (!immutable) return absl::StartsWith(path, "file:") ? absl::StrCat("./", path) : path;
  std::string uri = "file:";
  for (const unsigned char c : path) {
    if (c == '?' || c == '#' || c == '%') {
      absl::StrAppendFormat(&uri, "%%%02X", c);
    } else {
      uri += static_cast<char>(c);
    }
  }
  return uri + "?immutable=1";
}

// A failed COMMIT leaves sqlite3_system_errno() alone, so a full disk there shows in errno only.
int SystemErrno(sqlite3* handle) {
  const int noted = handle == nullptr ? 0 : sqlite3_system_errno(handle);
  const bool full = errno == ENOSPC || errno == EFBIG || errno == EDQUOT;
  return full ? errno : noted;
}

absl::StatusCode CodeOf(int code, int system_errno) {
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_IOERR:
      return system_errno == ENOSPC || system_errno == EFBIG || system_errno == EDQUOT
                 ? absl::StatusCode::kResourceExhausted
                 : absl::StatusCode::kDataLoss;
    case SQLITE_NOTADB:
    case SQLITE_TOOBIG:
      return absl::StatusCode::kInvalidArgument;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_CANTOPEN:
      return system_errno == ENOENT ? absl::StatusCode::kNotFound
                                    : absl::StatusCode::kPermissionDenied;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_ABORT:
    case SQLITE_INTERRUPT:
    case SQLITE_CONSTRAINT:  // what a row refers to was deleted meanwhile
      return absl::StatusCode::kAborted;
    case SQLITE_CORRUPT:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_error_(other.bind_error_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  std::swap(bind_error_, other.bind_error_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::Note(int code) {
  if (code != SQLITE_OK) bind_error_ = code;
}

void Statement::Bind(int index, int64_t value) {
  Note(sqlite3_bind_int64(statement_, index, value));
}

void Statement::Bind(int index, double value) {
  Note(sqlite3_bind_double(statement_, index, value));
}

void Statement::Bind(int index, absl::string_view text) {
  // A null pointer would bind NULL, and an empty string is not NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  Note(sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::BindBlob(int index, absl::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  Note(sqlite3_bind_blob64(statement_, index, data, bytes.size(), SQLITE_STATIC));
}

void Statement::BindNull(int index) { Note(sqlite3_bind_null(statement_, index)); }

absl::StatusOr<bool> Statement::Step() {
  if (bind_error_ != SQLITE_OK) return database_->Error(bind_error_);
  errno = 0;  // SystemErrno() reads it
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const absl::Status error = database_->Error(code);
  Reset();
  return error;
}

absl::Status Statement::Run() {
  while (true) {
    ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) break;
  }
  Reset();
  return absl::OkStatus();
}

void Statement::Reset() {
  sqlite3_reset(statement_);  // repeats the error of the last step, which was reported there
  bind_error_ = SQLITE_OK;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

double Statement::Double(int column) const { return sqlite3_column_double(statement_, column); }

absl::string_view Statement::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Mode mode) {
  std::unique_ptr<Database> database(new Database(path));
  const int flags = mode == Mode::kReadWrite
                        ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                        : SQLITE_OPEN_READONLY | (mode == Mode::kImmutable ? SQLITE_OPEN_URI : 0);
  const int code = sqlite3_open_v2(OpenName(path, mode == Mode::kImmutable).c_str(),
                                   &database->handle_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return database->Error(code);
  sqlite3_extended_result_codes(database->handle_, 1);
  database->SetWaiting(true);
  sqlite3_limit(database->handle_, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  sqlite3_db_config(database->handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database->handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  RETURN_IF_ERROR(database->Execute("PRAGMA cell_size_check = ON; PRAGMA secure_delete = OFF"));
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::Execute(const char* sql) {
  errno = 0;  // SystemErrno() reads it
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<Statement> Database::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Error(code);
  return Statement(this, statement);
}

absl::StatusOr<int64_t> Database::QueryInt(const char* sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

void Database::SetWaiting(bool waiting) {
  sqlite3_busy_timeout(handle_, waiting ? kBusyMillis : 0);
}

int64_t Database::Changes() const { return sqlite3_changes64(handle_); }
int64_t Database::LastInsertId() const { return sqlite3_last_insert_rowid(handle_); }
bool Database::InTransaction() const { return sqlite3_get_autocommit(handle_) == 0; }

absl::Status Database::Error(int code) const {
  const int system_errno = SystemErrno(handle_);
  std::string message = absl::StrCat(path_, ": ");
  if ((code & 0xff) == SQLITE_NOTADB) {
    absl::StrAppend(&message, "is not a SQLite database");
  } else {
    const char* detail = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
    absl::StrAppend(&message, detail);
    const bool from_system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN ||
                             (code & 0xff) == SQLITE_FULL;
    if (from_system && system_errno != 0) {
      absl::StrAppend(&message, " (", std::strerror(system_errno), ")");
    }
  }
  return absl::Status(CodeOf(code, system_errno), message);
}

absl::StatusOr<Transaction> Transaction::Begin(Database& database) {
  RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  return Transaction(&database);
}

Transaction::~Transaction() {
  // SQLite has already rolled back after some errors, a full disk for one.
  if (database_ != nullptr && database_->InTransaction()) {
    database_->Execute("ROLLBACK").IgnoreError();
  }
}

absl::Status Transaction::Commit() {
  RETURN_IF_ERROR(database_->Execute("COMMIT"));
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace parity::store
