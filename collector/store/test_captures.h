// Small captures for the tests of the collector's rooms.
#ifndef PARITY_COLLECTOR_STORE_TEST_CAPTURES_H_
#define PARITY_COLLECTOR_STORE_TEST_CAPTURES_H_

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "collector/store/capture_store.h"
#include "parity/v1/checkpoint.pb.h"
#include "proto/tensor/values.h"

namespace parity::store {

// A fresh directory of this test, and a file name in it.
inline std::string TestPath(const std::string& name) {
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string directory =
      ::testing::TempDir() + "/" + test->test_suite_name() + "." + test->name();
  std::filesystem::create_directories(directory);
  return directory + "/" + name;
}

// A path at which there is no database yet.
inline std::string NewDatabasePath() {
  const std::string path = TestPath("parity.db");
  for (const char* suffix : {"", "-journal", "-wal", "-shm", ".lock"}) {
    std::filesystem::remove(path + suffix);
  }
  return path;
}

// A new store of this test, however full the disk is.
inline std::unique_ptr<CaptureStore> OpenNewStore() {
  StoreOptions options;
  options.min_free_bytes = 0;
  auto opened = CaptureStore::Open(NewDatabasePath(), OpenMode::kReadWrite, options);
  EXPECT_TRUE(opened.ok()) << opened.status();
  return opened.ok() ? *std::move(opened) : nullptr;
}

inline v1::Tensor MakeTensor(const std::string& checkpoint, const std::vector<float>& values) {
  v1::Tensor tensor;
  tensor.set_checkpoint(checkpoint);
  tensor.set_dtype(v1::DTYPE_F32);
  tensor.add_shape(static_cast<int64_t>(values.size()));
  tensor.set_data(values.data(), values.size() * sizeof(float));
  tensor.set_xxh3(tensor::Checksum(tensor.data()));
  return tensor;
}

// One token with tensors "embed" and "logits", whose values tell the position.
inline v1::Frame MakeFrame(int32_t position, int elements = 8) {
  v1::Frame frame;
  frame.set_position(position);
  frame.set_input_token_id(1000 + position);
  frame.set_phase(v1::PHASE_PREFILL);
  for (const char* name : {"embed", "logits"}) {
    std::vector<float> values(elements, static_cast<float>(position));
    values[0] = std::strlen(name);
    *frame.add_tensors() = MakeTensor(name, values);
  }
  return frame;
}

inline TensorBatch BatchOf(const v1::Frame& frame) {
  TensorBatch batch;
  batch.AddTokenOf(frame);
  for (const v1::Tensor& tensor : frame.tensors()) batch.AddTensor(frame.position(), tensor);
  return batch;
}

// Appends and waits for the commit.
inline absl::StatusOr<AppendResult> AppendAndWait(CaptureStore& store, int64_t capture_id,
                                                  TensorBatch batch, bool import = false) {
  absl::Notification committed;
  absl::StatusOr<AppendResult> outcome = absl::UnknownError("not called");
  const auto done = [&](const absl::StatusOr<AppendResult>& result) {
    outcome = result;
    committed.Notify();
  };
  if (import) {
    store.AppendImport(capture_id, std::move(batch), done);
  } else {
    store.Append(capture_id, std::move(batch), done);
  }
  committed.WaitForNotification();
  return outcome;
}

inline v1::CaptureCounts Captured(int64_t captured) {
  v1::CaptureCounts counts;
  counts.set_captured(captured);
  counts.set_acked(captured);
  return counts;
}

// A sealed capture of `positions` frames. Returns its id.
inline int64_t WriteCapture(CaptureStore& store, const std::string& run, const std::string& team,
                            int positions) {
  const auto begun = store.BeginCapture(run, team, v1::Provenance(), "");
  EXPECT_TRUE(begun.ok()) << begun.status();
  if (!begun.ok()) return 0;
  for (int32_t position = 0; position < positions; ++position) {
    const auto result = AppendAndWait(store, begun->id, BatchOf(MakeFrame(position)));
    EXPECT_TRUE(result.ok()) << result.status();
  }
  const auto sealed = store.Seal(begun->id, Captured(2 * positions), "");
  EXPECT_TRUE(sealed.ok()) << sealed.status();
  return begun->id;
}

// What an outsider's SQLite says to a query: rows joined by "\n", columns by "|".
inline std::string Query(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  std::string text;
  char* error = nullptr;
  const auto row = [](void* out, int columns, char** values, char**) {
    std::string& all = *static_cast<std::string*>(out);
    if (!all.empty()) all += "\n";
    for (int i = 0; i < columns; ++i) {
      if (i > 0) all += "|";
      all += values[i] == nullptr ? "NULL" : values[i];
    }
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), row, &text, &error), SQLITE_OK)
      << sql << ": " << (error == nullptr ? "" : error);
  sqlite3_free(error);
  sqlite3_close(database);
  return text;
}

}  // namespace parity::store

#endif  // PARITY_COLLECTOR_STORE_TEST_CAPTURES_H_
