#include "collector/store/schema.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "collector/store/schema_sql.h"
#include "proto/status/status_macros.h"

namespace parity::store {
namespace {

// Measured: 64 KiB pages take a third less CPU time for 480 KB blobs than 16 KiB ones, in commits
// and in checkpoints, which take 1.5x less than 4 KiB ones (facts/platform); WalKeeper checkpoints,
// and keeps the WAL's space up to journal_size_limit; the cache holds the pages of a group commit;
// Debian's SECURE_DELETE is off in Database::Open.
constexpr char kPageSize[] = "PRAGMA page_size = 65536";
constexpr char kAutoVacuum[] = "PRAGMA auto_vacuum = INCREMENTAL";
constexpr char kWriterSettings[] =
    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = ON;"
    "PRAGMA journal_size_limit = 335544320; PRAGMA cache_size = -65536; PRAGMA journal_mode = WAL";
// The cache spills what is past the old end of the file straight into it, beside the parser's work,
// and statement journals of a few pages need no file. EXTRA: the commit is the journal's removal,
// so the directory is synced too; nothing else would keep a power cut from undoing it.
constexpr char kWriteOnceSettings[] =
    "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = DELETE; PRAGMA foreign_keys = ON;"
    "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY";
// Turns a few bytes in the first sector of a file that is on the disk already: it is whole with the
// old ones or the new, and with either it holds the same rows. So nothing waits for the disk.
constexpr char kToWal[] =
    "PRAGMA temp_store = DEFAULT; PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL";
// Readers copy pages through a cache that fits the processor's: to map the file costs more, in page
// faults, and a file cut short by another program would kill the process.
constexpr char kReaderSettings[] = "PRAGMA query_only = ON; PRAGMA cache_size = -1024";

struct Identity {
  int64_t application_id = 0;
  int64_t version = 0;
  int64_t tables = 0;
};

absl::StatusOr<Identity> Identify(Database& database) {
  Identity identity;
  ASSIGN_OR_RETURN(identity.application_id, database.QueryInt("PRAGMA application_id"));
  ASSIGN_OR_RETURN(identity.version, database.QueryInt("PRAGMA user_version"));
  ASSIGN_OR_RETURN(identity.tables, database.QueryInt("SELECT count(*) FROM sqlite_schema"));
  return identity;
}

absl::Status CheckIdentity(const std::string& path, const Identity& identity) {
  if (identity.application_id != kApplicationId) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: is another program's database (application_id 0x%08x, Parity's is 0x%08x)", path,
        static_cast<uint32_t>(identity.application_id), static_cast<uint32_t>(kApplicationId)));
  }
  if (identity.version > kSchemaVersion) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": has schema version ", identity.version,
                                                   ", this program knows up to ", kSchemaVersion,
                                                   "; use a newer Parity"));
  }
  if (identity.version < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has schema version ", identity.version, ", which never existed"));
  }
  return absl::OkStatus();
}

bool IsNew(const Identity& identity) {
  return identity.application_id == 0 && identity.version == 0 && identity.tables == 0;
}

// REQUIRES: a transaction.
absl::Status AddSchema(Database& database) {
  RETURN_IF_ERROR(database.Execute(kSchemaSql));
  return database.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                       "; PRAGMA user_version = ", kSchemaVersion)
                              .c_str());
}

absl::Status CreateSchema(Database& database) {
  RETURN_IF_ERROR(database.Execute(kPageSize));
  RETURN_IF_ERROR(database.Execute(kAutoVacuum));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database));
  RETURN_IF_ERROR(AddSchema(database));
  return transaction.Commit();
}

// False: somebody else has the file locked, and nothing was done.
absl::StatusOr<bool> BeginWriteOnce(Database& database) {
  RETURN_IF_ERROR(database.Execute(kPageSize));
  // Compiling it tells the connection; running it would commit a first page, and sync it.
  RETURN_IF_ERROR(database.Prepare(kAutoVacuum).status());
  RETURN_IF_ERROR(database.Execute(kWriteOnceSettings));
  // From the first: a reader who came in between would keep the cache from spilling.
  database.SetWaiting(false);
  const absl::Status locked = database.Execute("BEGIN EXCLUSIVE");
  database.SetWaiting(true);
  if (absl::IsUnavailable(locked)) {
    RETURN_IF_ERROR(database.Execute("PRAGMA temp_store = DEFAULT"));
    return false;
  }
  RETURN_IF_ERROR(locked);
  RETURN_IF_ERROR(AddSchema(database));
  return true;
}

// Whether the journal of a file that cannot be locked holds anything that an immutable open would
// miss.
bool HasJournal(const std::string& path, const char* suffix) {
  struct stat info;
  return stat((path + suffix).c_str(), &info) == 0 && info.st_size > 0;
}

// Undoes what a process that died inside a transaction without a WAL left in the file.
absl::Status RollBack(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(path, Database::Mode::kReadWrite));
  return database->QueryInt("PRAGMA schema_version").status();
}

absl::StatusOr<std::unique_ptr<Database>> OpenReadable(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(path, Database::Mode::kReadOnly));
  const absl::Status readable = database->QueryInt("PRAGMA schema_version").status();
  if (readable.ok()) return database;
  if (sqlite3_extended_errcode(database->handle()) == SQLITE_READONLY_ROLLBACK) {
    database.reset();
    RETURN_IF_ERROR(RollBack(path));
    return Database::Open(path, Database::Mode::kReadOnly);
  }
  // A WAL database in a read-only directory: SQLite wants to create its shared-memory file.
  const int code = sqlite3_errcode(database->handle()) & 0xff;  // without its extension
  const bool no_shm = code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
  if (!no_shm || HasJournal(path, "-wal") || HasJournal(path, "-journal")) return readable;
  return Database::Open(path, Database::Mode::kImmutable);
}

absl::Status RefuseDirectory(const std::string& path, const struct stat& info) {
  if (!S_ISDIR(info.st_mode)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory, not a database"));
}

absl::StatusOr<bool> IsUnused(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(path, Database::Mode::kReadWrite));
  ASSIGN_OR_RETURN(const Identity identity, Identify(*database));
  if (IsNew(identity)) return true;
  RETURN_IF_ERROR(CheckIdentity(path, identity));
  ASSIGN_OR_RETURN(const int64_t runs, database->QueryInt("SELECT count(*) FROM runs"));
  return runs == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenForWriting(const std::string& path, bool write_once) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) RETURN_IF_ERROR(RefuseDirectory(path, info));
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(path, Database::Mode::kReadWrite));
  // SQLite falls back to reading when it may not write.
  if (sqlite3_db_readonly(database->handle(), "main") == 1) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": may not be written"));
  }
  ASSIGN_OR_RETURN(const Identity identity, Identify(*database));
  if (!IsNew(identity)) {
    RETURN_IF_ERROR(CheckIdentity(path, identity));
  } else {
    if (write_once) {
      ASSIGN_OR_RETURN(const bool begun, BeginWriteOnce(*database));
      if (begun) return database;
    }
    RETURN_IF_ERROR(CreateSchema(*database));
  }
  RETURN_IF_ERROR(database->Execute(kWriterSettings));
  return database;
}

absl::Status EndWriteOnce(Database& database) {
  ASSIGN_OR_RETURN(const Identity identity, Identify(database));
  if (IsNew(identity)) RETURN_IF_ERROR(CreateSchema(database));
  database.SetWaiting(false);
  database.Execute(kToWal).IgnoreError();  // told by the next line
  const absl::Status ended = database.Execute(kWriterSettings);
  database.SetWaiting(true);
  return ended;
}

absl::StatusOr<std::unique_ptr<Database>> OpenForReading(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
    return errno == EACCES ? absl::PermissionDeniedError(message) : absl::NotFoundError(message);
  }
  RETURN_IF_ERROR(RefuseDirectory(path, info));
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, OpenReadable(path));
  ASSIGN_OR_RETURN(const Identity identity, Identify(*database));
  if (identity.application_id == 0 && identity.tables == 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is empty, not a Parity database"));
  }
  RETURN_IF_ERROR(CheckIdentity(path, identity));
  RETURN_IF_ERROR(database->Execute(kReaderSettings));
  return database;
}

std::vector<std::string> FilesOf(const std::string& path) {
  return {path, path + "-journal", path + "-wal", path + "-shm"};
}

void RemoveIfUnused(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return;  // opening it would make it
  const absl::StatusOr<bool> unused = IsUnused(path);
  if (!unused.ok() || !*unused) return;
  for (const std::string& file : FilesOf(path)) unlink(file.c_str());
}

}  // namespace parity::store
