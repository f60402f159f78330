// Prints what the store does on this machine: ingest against raw write + fdatasync, reading, the
// views on a million rows. Run it by hand (tag "slow"); nothing here passes or fails by time except
// the views' one second.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "collector/store/capture_store.h"
#include "collector/store/test_captures.h"

namespace parity::store {
namespace {

double SecondsSince(absl::Time start) { return absl::ToDoubleSeconds(absl::Now() - start); }

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

// One token of SmolLM2-135M at capture level full: 30 layers of 15 sites, 1.45 MB, in three frames.
std::vector<v1::Frame> FullToken(int32_t position) {
  const std::vector<std::pair<std::string, int>> sites = {
      {"attn.norm", 576},     {"attn.q", 576},      {"attn.k", 192},       {"attn.v", 192},
      {"attn.q_rope", 576},   {"attn.k_rope", 192}, {"attn.context", 576}, {"attn.out", 576},
      {"attn.residual", 576}, {"mlp.norm", 576},    {"mlp.gate", 1536},    {"mlp.up", 1536},
      {"mlp.act", 1536},      {"mlp.down", 576},    {"out", 576}};
  std::vector<v1::Frame> frames;
  for (int part = 0; part < 3; ++part) {
    v1::Frame& frame = frames.emplace_back();
    frame.set_position(position);
    frame.set_input_token_id(position);
    for (int layer = part * 10; layer < part * 10 + 10; ++layer) {
      for (const auto& [site, width] : sites) {
        std::vector<float> values(width, 0.25f * position + layer);
        *frame.add_tensors() = MakeTensor(absl::StrCat("layer.", layer, ".", site), values);
      }
    }
  }
  *frames.back().add_tensors() = MakeTensor("logits", std::vector<float>(49152, 1.5f * position));
  return frames;
}

int64_t WriteFull(CaptureStore& store, const std::string& team, int tokens, int64_t* bytes) {
  const auto begun = store.BeginCapture("bench", team, v1::Provenance(), "");
  EXPECT_TRUE(begun.ok()) << begun.status();
  std::vector<std::vector<v1::Frame>> frames;
  for (int position = 0; position < tokens; ++position) frames.push_back(FullToken(position));
  const absl::Time start = absl::Now();
  const double cpu = CpuSeconds();
  int64_t tensors = 0;
  for (const auto& token : frames) {
    for (const v1::Frame& frame : token) {
      TensorBatch batch;
      batch.Reserve(1 << 20);
      batch.AddTokenOf(frame);
      for (const v1::Tensor& tensor : frame.tensors()) {
        EXPECT_TRUE(tensor::Validate(tensor).ok());
        batch.AddTensor(frame.position(), tensor);
      }
      tensors += frame.tensors_size();
      *bytes += batch.bytes();
      store.Append(begun->id, std::move(batch), [](const absl::StatusOr<AppendResult>& result) {
        EXPECT_TRUE(result.ok()) << result.status();
      });
    }
  }
  const auto sealed = store.Seal(begun->id, Captured(tensors), "");
  EXPECT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->status(), v1::CAPTURE_STATUS_COMPLETE) << sealed->message();
  const double seconds = SecondsSince(start);
  absl::PrintF(
      "ingest %s: %d tensors, %.1f MB in %.3f s = %.0f MB/s, %.0f tensors/s, CPU %.3f s "
      "= %.2f ms a token\n",
      team, tensors, *bytes / 1e6, seconds, *bytes / 1e6 / seconds, tensors / seconds,
      CpuSeconds() - cpu, (CpuSeconds() - cpu) / tokens * 1e3);
  return begun->id;
}

double RawSeconds(const std::string& path, int64_t bytes) {
  const std::string chunk(8 << 20, 'x');  // a group commit
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  const absl::Time start = absl::Now();
  for (int64_t done = 0; done < bytes; done += chunk.size()) {
    EXPECT_EQ(write(fd, chunk.data(), chunk.size()), static_cast<ssize_t>(chunk.size()));
    EXPECT_EQ(fdatasync(fd), 0);
  }
  const double seconds = SecondsSince(start);
  close(fd);
  unlink(path.c_str());
  return seconds;
}

double ThreadCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

// CPU time of this thread: wall time says little on a machine that others use too.
void ReadAll(const CaptureStore& store, const std::string& team) {
  const double start = ThreadCpuSeconds();
  const auto reader = store.OpenCapture("bench", team);
  ASSERT_TRUE(reader.ok()) << reader.status();
  RowFilter filter;
  filter.columns = RowFilter::Columns::kShape;
  const auto rows = (*reader)->ReadTensors(filter);
  ASSERT_TRUE(rows.ok());
  const double rows_seconds = ThreadCpuSeconds() - start;
  int64_t bytes = 0;
  for (const TensorRow& row : *rows) {
    const auto data = (*reader)->ReadData(row);
    ASSERT_TRUE(data.ok()) << data.status();
    bytes += data->size();
  }
  const double seconds = ThreadCpuSeconds() - start;
  absl::PrintF("read %s (CPU): %d rows in %.1f ms, %.1f MB in %.1f ms = %.2f GB/s\n", team,
               rows->size(), rows_seconds * 1e3, bytes / 1e6, (seconds - rows_seconds) * 1e3,
               bytes / 1e9 / (seconds - rows_seconds));
}

TEST(StoreBenchmark, IngestAndRead) {
  const std::string path = NewDatabasePath();
  auto store = CaptureStore::Open(path, OpenMode::kReadWrite);
  ASSERT_TRUE(store.ok()) << store.status();
  for (const char* team : {"a", "b"}) {
    int64_t bytes = 0;
    const absl::Time start = absl::Now();
    WriteFull(**store, team, 64, &bytes);
    const double raw = RawSeconds(path + ".raw", bytes);
    absl::PrintF("raw write + fdatasync of the same: %.3f s = %.0f MB/s\n", raw, bytes / 1e6 / raw);
    absl::PrintF("(all with making the data: %.3f s)\n", SecondsSince(start));
  }
  for (const char* what : {"from the WAL", "again"}) {
    absl::PrintF("-- %s\n", what);
    ReadAll(**store, "a");
  }
  store->reset();
  store = CaptureStore::Open(path, OpenMode::kReadOnly);
  ASSERT_TRUE(store.ok());
  ReadAll(**store, "a");
  const absl::Time start = absl::Now();
  std::thread other([&] { ReadAll(**store, "b"); });
  ReadAll(**store, "a");
  other.join();
  absl::PrintF("both in two threads: %.1f ms\n", SecondsSince(start) * 1e3);
}

TEST(StoreBenchmark, ViewsOnAMillionRows) {
  const std::string path = NewDatabasePath();
  auto store = CaptureStore::Open(path, OpenMode::kReadWrite);
  ASSERT_TRUE(store.ok());
  const int64_t a = WriteCapture(**store, "run", "a", 1);
  const int64_t b = WriteCapture(**store, "run", "b", 1);
  ASSERT_TRUE((*store)->StoreComparison(a, b, v1::ComparisonSummary(), {}).ok());
  store->reset();
  const std::string positions =
      "WITH RECURSIVE p(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM p "
      "WHERE n < 250000) ";
  Query(path, "BEGIN");
  Query(path, absl::StrCat(positions,
                           "INSERT INTO tensors SELECT c.id, n, k.id, 1, 0, 32, 1, '[8]',"
                           " 8, 8, n, 0, 0, 0, 1.5, 2.5, 0.1 * n, 0.3 FROM captures c, p,"
                           " checkpoints k"));
  Query(path, absl::StrCat(positions,
                           "INSERT INTO tokens SELECT c.id, n, n, 1, n, x'' FROM captures "
                           "c, p"));
  Query(path,
        absl::StrCat(positions,
                     "INSERT INTO diffs(comparison_id, position, checkpoint_id, verdict, "
                     "reason, elements, nmse, measured_from, single_op, bit_identical) SELECT "
                     "1, n, k.id, 'MATCH', '', 8, 1e-9 * n, '', 0, 0 FROM p, checkpoints k"));
  for (const std::string sql :
       {"SELECT * FROM v_runs LIMIT 1000", "SELECT * FROM v_tensors LIMIT 1000",
        "SELECT * FROM v_tensors WHERE run = 'run' AND team = 'b' AND position = 99999",
        "SELECT checkpoint, max(nan_count) FROM v_tensors WHERE run = 'run' AND team = 'a' GROUP "
        "BY 1",
        "SELECT * FROM v_diffs LIMIT 1000",
        "SELECT checkpoint, max(nmse) FROM v_diffs GROUP BY checkpoint",
        "SELECT * FROM v_diffs WHERE run = 'run' AND position = 99999",
        "SELECT * FROM v_first_divergence", "SELECT * FROM v_token_agreement LIMIT 1000",
        "SELECT sum(same_chosen), count(*) FROM v_token_agreement"}) {
    const double start = ThreadCpuSeconds();
    const std::string rows = Query(path, sql);
    const double seconds = ThreadCpuSeconds() - start;
    absl::PrintF("%7.1f ms  %s\n", seconds * 1e3, sql);
    EXPECT_FALSE(rows.empty());
    EXPECT_LT(seconds, 1.0) << sql;
  }
}

}  // namespace
}  // namespace parity::store
