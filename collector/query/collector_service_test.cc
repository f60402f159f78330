#include "collector/query/collector_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "collector/query/local_collector.h"
#include "collector/store/test_captures.h"

namespace parity::query {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using IngestStream = grpc::ClientReaderWriterInterface<v1::IngestRequest, v1::IngestResponse>;

class CollectorServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto local =
        LocalCollector::Open(store::NewDatabasePath(), OpenMode::kReadWrite, /*min_free_bytes=*/0);
    ASSERT_TRUE(local.ok()) << local.status();
    local_ = *std::move(local);
  }
  v1::Collector::StubInterface& stub() { return local_->stub(); }

  static v1::IngestRequest Open(const std::string& team) {
    v1::IngestRequest request;
    request.mutable_open()->set_run("run");
    request.mutable_open()->set_team(team);
    return request;
  }
  static v1::IngestRequest Frame(int64_t sequence, int position, int elements = 8) {
    v1::IngestRequest request;
    request.mutable_frame()->set_sequence(sequence);
    *request.mutable_frame()->mutable_frame() = store::MakeFrame(position, elements);
    return request;
  }
  // Opens, sends `frames` frames, seals; returns what came back.
  std::vector<v1::IngestResponse> Ingest(const std::string& team, int frames, int elements = 8) {
    grpc::ClientContext context;
    auto stream = stub().Ingest(&context);
    EXPECT_TRUE(stream->Write(Open(team)));
    for (int i = 0; i < frames; ++i) EXPECT_TRUE(stream->Write(Frame(i + 1, i, elements)));
    v1::IngestRequest seal;
    seal.mutable_seal()->set_captured(2 * frames);
    EXPECT_TRUE(stream->Write(seal));
    stream->WritesDone();
    std::vector<v1::IngestResponse> responses;
    v1::IngestResponse response;
    while (stream->Read(&response)) responses.push_back(response);
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return responses;
  }
  v1::GetRunResponse GetRun(const std::string& run) {
    grpc::ClientContext context;
    v1::GetRunRequest request;
    request.set_run(run);
    v1::GetRunResponse response;
    const grpc::Status status = stub().GetRun(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  std::vector<v1::Frame> ReadCapture(const v1::ReadCaptureRequest& request) {
    grpc::ClientContext context;
    auto reader = stub().ReadCapture(&context, request);
    std::vector<v1::Frame> frames;
    v1::Frame frame;
    while (reader->Read(&frame)) frames.push_back(frame);
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return frames;
  }

  std::unique_ptr<LocalCollector> local_;
};

TEST_F(CollectorServiceTest, AStreamIsAckedAndSealed) {
  const std::vector<v1::IngestResponse> responses = Ingest("team", 20);
  ASSERT_GE(responses.size(), 3u);
  EXPECT_TRUE(responses.front().has_opened());
  const v1::IngestResponse& ack = responses[responses.size() - 2];
  EXPECT_EQ(ack.ack().committed_sequence(), 20);
  EXPECT_EQ(ack.ack().counts().acked(), 40);
  EXPECT_EQ(responses.back().sealed().status(), v1::CAPTURE_STATUS_COMPLETE)
      << responses.back().sealed().message();
  int64_t last = 0;
  for (const v1::IngestResponse& response : responses) {
    if (!response.has_ack()) continue;
    EXPECT_GE(response.ack().committed_sequence(), last);
    last = response.ack().committed_sequence();
  }
  const v1::GetRunResponse run = GetRun("run");
  EXPECT_EQ(run.run().captures(0).tensors(), 40);
  EXPECT_EQ(run.tokens_size(), 20);
  EXPECT_THAT(run.checkpoints(), ElementsAre("embed", "logits"));
}

TEST_F(CollectorServiceTest, AnAckComesWhileTheSenderWaits) {
  grpc::ClientContext context;
  auto stream = stub().Ingest(&context);
  ASSERT_TRUE(stream->Write(Open("team")));
  v1::IngestResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_TRUE(response.has_opened());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(stream->Write(Frame(i, i)));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.ack().committed_sequence(), i);
  }
  stream->WritesDone();
  while (stream->Read(&response)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(GetRun("run").run().captures(0).status(), v1::CAPTURE_STATUS_INCOMPLETE);
}

TEST_F(CollectorServiceTest, AGapEndsTheStreamWithWhatIsCommitted) {
  grpc::ClientContext context;
  auto stream = stub().Ingest(&context);
  stream->Write(Open("team"));
  stream->Write(Frame(1, 0));
  stream->Write(Frame(5, 1));
  v1::IngestResponse response;
  int64_t committed = 0;
  while (stream->Read(&response)) {
    if (response.has_ack()) committed = response.ack().committed_sequence();
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(status.error_message(), HasSubstr("expected 2"));
  EXPECT_EQ(committed, 1);
}

TEST_F(CollectorServiceTest, AStoreThatFailsEndsAStreamWhoseSenderOnlyWaits) {
  grpc::ClientContext context;
  auto stream = stub().Ingest(&context);
  stream->Write(Open("team"));
  v1::IngestResponse response;
  ASSERT_TRUE(stream->Read(&response));
  grpc::ClientContext delete_context;
  v1::DeleteRunRequest request;
  request.set_run("run");
  v1::DeleteRunResponse deleted;
  ASSERT_TRUE(stub().DeleteRun(&delete_context, request, &deleted).ok());
  EXPECT_EQ(deleted.captures(), 1);
  stream->Write(Frame(1, 0));
  while (stream->Read(&response)) {  // no WritesDone: the sender waits for its ack
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(CollectorServiceTest, ACancelledStreamLeavesAnIncompleteCapture) {
  {
    grpc::ClientContext context;
    auto stream = stub().Ingest(&context);
    stream->Write(Open("team"));
    stream->Write(Frame(1, 0));
    v1::IngestResponse response;
    while (stream->Read(&response) && !response.has_ack()) {
    }
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  v1::CaptureStatus status = v1::CAPTURE_STATUS_OPEN;
  for (int i = 0; i < 1000 && status == v1::CAPTURE_STATUS_OPEN; ++i) {
    absl::SleepFor(absl::Milliseconds(5));
    status = GetRun("run").run().captures(0).status();
  }
  EXPECT_EQ(status, v1::CAPTURE_STATUS_INCOMPLETE);
  EXPECT_EQ(Ingest("team", 3).back().sealed().status(), v1::CAPTURE_STATUS_COMPLETE);
}

TEST_F(CollectorServiceTest, ACaptureIsReadBackAsItWasSent) {
  Ingest("team", 3, 100000);  // two tensors of 400 KB a position: two frames
  v1::ReadCaptureRequest request;
  request.set_run("run");
  request.set_team("team");
  const std::vector<v1::Frame> frames = ReadCapture(request);
  ASSERT_EQ(frames.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    const v1::Frame sent = store::MakeFrame(i / 2, 100000);
    EXPECT_EQ(frames[i].position(), i / 2);
    EXPECT_EQ(frames[i].input_token_id(), sent.input_token_id());
    ASSERT_EQ(frames[i].tensors_size(), 1);
    EXPECT_EQ(frames[i].tensors(0).data(), sent.tensors(i % 2).data());
    EXPECT_EQ(frames[i].tensors(0).checkpoint(), sent.tensors(i % 2).checkpoint());
  }
  request.set_first_position(2);
  request.add_checkpoints("log*");
  request.set_without_data(true);
  const std::vector<v1::Frame> some = ReadCapture(request);
  ASSERT_EQ(some.size(), 1u);
  ASSERT_EQ(some[0].tensors_size(), 1);
  EXPECT_EQ(some[0].tensors(0).total_elements(), 100000);
  EXPECT_TRUE(some[0].tensors(0).data().empty());
  request.set_checkpoints(0, "");
  EXPECT_EQ(ReadCapture(request)[0].tensors_size(), 0);
}

TEST_F(CollectorServiceTest, TensorsAndRunsAreFoundOrNamed) {
  Ingest("team", 1);
  grpc::ClientContext context;
  v1::GetTensorRequest request;
  request.set_run("run");
  request.set_team("team");
  request.set_checkpoint("logits");
  v1::Tensor tensor;
  ASSERT_TRUE(stub().GetTensor(&context, request, &tensor).ok());
  EXPECT_EQ(tensor.data(), store::MakeFrame(0).tensors(1).data());
  grpc::ClientContext missing_context;
  request.set_team("other");
  const grpc::Status missing = stub().GetTensor(&missing_context, request, &tensor);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(missing.error_message(), HasSubstr("\"team\""));
  grpc::ClientContext list_context;
  v1::ListRunsResponse runs;
  ASSERT_TRUE(stub().ListRuns(&list_context, v1::ListRunsRequest(), &runs).ok());
  EXPECT_EQ(runs.runs_size(), 1);
}

TEST_F(CollectorServiceTest, TwoEqualCapturesCompareAsIdentical) {
  Ingest("a", 2);
  Ingest("b", 2);
  grpc::ClientContext context;
  v1::CompareRequest request;
  request.set_run("run");
  request.set_reference("a");
  request.set_candidate("b");
  auto reader = stub().Compare(&context, request);
  v1::CompareResponse response;
  int rows = 0;
  while (reader->Read(&response)) rows += response.has_row() ? 1 : 0;
  const grpc::Status status = reader->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(rows, 4);
  EXPECT_EQ(response.summary().match(), 4);
  EXPECT_TRUE(response.summary().bit_identical());
}

TEST_F(CollectorServiceTest, ALogIsImportedAndExported) {
  grpc::ClientContext context;
  v1::ImportResponse imported;
  auto writer = stub().Import(&context, &imported);
  v1::ImportRequest request;
  request.mutable_options()->set_run("log");
  ASSERT_TRUE(writer->Write(request));
  const std::string line =
      R"({"team":"t","checkpoint":"logits","token_idx":0,"dtype":"float32","shape":"[1,3]","values":[1,2,3]})";
  request.set_chunk(line.substr(0, 40));
  ASSERT_TRUE(writer->Write(request));
  request.set_chunk(line.substr(40) + "\n");
  ASSERT_TRUE(writer->Write(request));
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(imported.tensors(), 1);

  grpc::ClientContext export_context;
  v1::ExportRequest export_request;
  export_request.set_format(v1::ExportRequest::FORMAT_CAPTURE_JSONL);
  export_request.mutable_compare()->set_run("log");
  export_request.mutable_compare()->set_reference("t");
  auto reader = stub().Export(&export_context, export_request);
  v1::ExportResponse chunk;
  std::string text;
  while (reader->Read(&chunk)) text += chunk.chunk();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(text, HasSubstr("\"checkpoint\":\"logits\""));
}

}  // namespace
}  // namespace parity::query
