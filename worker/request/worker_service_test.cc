#include "worker/request/worker_service.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/serve/channel.h"
#include "proto/serve/server.h"
#include "worker/request/fake_engine.h"

namespace parity::request {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WorkerServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Served served;
    served.engine = &engine_;
    served.tokenizer = &tokenizer_;
    served.model_sha256 = "abc";
    generator_ = std::make_unique<Generator>(served, 1);
    service_ = std::make_unique<WorkerService>(*generator_);
    server_ = *serve::Server::Start({"127.0.0.1:0", {}, false}, {service_.get()});
    stub_ = v1::Worker::NewStub(*serve::OpenChannel(server_->address(), {}));
    request_.set_prompt("pqr");
    request_.set_max_tokens(3);
  }
  void TearDown() override {
    service_->StopAll();
    server_->Shutdown(absl::Seconds(5));
  }

  grpc::Status Generate(grpc::ClientContext& context) {
    auto reader = stub_->Generate(&context, request_);
    v1::GenerateEvent event;
    while (reader->Read(&event)) {
      events_.push_back(event);
      if (on_event_) on_event_(context);
    }
    return reader->Finish();
  }

  FakeEngine engine_;
  FakeTokenizer tokenizer_;
  std::unique_ptr<Generator> generator_;
  std::unique_ptr<WorkerService> service_;
  std::unique_ptr<serve::Server> server_;
  std::unique_ptr<v1::Worker::Stub> stub_;
  v1::GenerateRequest request_;
  std::vector<v1::GenerateEvent> events_;
  std::function<void(grpc::ClientContext&)> on_event_;
};

// Waits until `condition` or fails after ten seconds.
void Eventually(const std::function<bool()>& condition) {
  const absl::Time limit = absl::Now() + absl::Seconds(10);
  while (!condition() && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_TRUE(condition());
}

TEST_F(WorkerServiceTest, GenerateStreamsStartedTokensFinished) {
  grpc::ClientContext context;
  const grpc::Status status = Generate(context);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(events_.size(), 5);
  EXPECT_TRUE(events_.front().has_started());
  EXPECT_TRUE(events_.back().has_finished());
  EXPECT_EQ(events_[1].token().text(), "a");
}

TEST_F(WorkerServiceTest, AnInvalidRequestIsRefusedWithoutEvents) {
  request_.set_top_k(-1);
  grpc::ClientContext context;
  const grpc::Status status = Generate(context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("top_k"));
  EXPECT_TRUE(events_.empty());
}

TEST_F(WorkerServiceTest, CancelFreesTheSessionWithinAStep) {
  engine_.step_time = absl::Seconds(30);
  on_event_ = [](grpc::ClientContext& context) { context.TryCancel(); };
  grpc::ClientContext context;
  EXPECT_EQ(Generate(context).error_code(), grpc::StatusCode::CANCELLED);
  Eventually([this] { return generator_->GetModel().active_sessions() == 0; });
}

TEST_F(WorkerServiceTest, TheDeadlineEndsDecodeWithAFinishedEvent) {
  engine_.step_time = absl::Milliseconds(10);
  request_.set_max_tokens(60);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(300)));
  Generate(context);
  Eventually([this] { return generator_->GetModel().active_sessions() == 0; });
  EXPECT_LT(events_.size(), 35);
}

TEST_F(WorkerServiceTest, TheDeadlineStopsInsidePrefill) {
  engine_.step_time = absl::Seconds(30);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(100)));
  EXPECT_EQ(Generate(context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  Eventually([this] { return generator_->GetModel().active_sessions() == 0; });
}

TEST_F(WorkerServiceTest, ABusyWorkerSaysWhenToComeBack) {
  engine_.step_time = absl::Seconds(30);
  grpc::ClientContext busy_context;
  std::thread busy([&] { Generate(busy_context); });
  Eventually([this] { return generator_->GetModel().active_sessions() == 1; });
  grpc::ClientContext context;
  auto reader = stub_->Generate(&context, request_);
  v1::GenerateEvent event;
  EXPECT_FALSE(reader->Read(&event));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto retry = trailers.find(kRetryAfterMs);
  ASSERT_NE(retry, trailers.end());
  int ms = 0;
  EXPECT_TRUE(absl::SimpleAtoi(std::string(retry->second.begin(), retry->second.end()), &ms));
  EXPECT_GE(ms, 50);
  busy_context.TryCancel();
  busy.join();
}

TEST_F(WorkerServiceTest, ShutdownEndsStreamsWithOneFinishedEvent) {
  engine_.step_time = absl::Milliseconds(20);
  request_.set_max_tokens(60);
  std::thread stopper([this] {
    Eventually([this] { return generator_->GetModel().active_sessions() == 1; });
    service_->StopAll();
  });
  grpc::ClientContext context;
  EXPECT_TRUE(Generate(context).ok());
  stopper.join();
  ASSERT_FALSE(events_.empty());
  EXPECT_EQ(events_.back().finished().reason(), v1::FINISH_REASON_CANCELLED);
  grpc::ClientContext late;
  EXPECT_EQ(Generate(late).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkerServiceTest, TheSmallCallsAnswer) {
  {
    grpc::ClientContext context;
    v1::GetModelResponse model;
    ASSERT_TRUE(stub_->GetModel(&context, {}, &model).ok());
    EXPECT_EQ(model.provenance().model_sha256(), "abc");
    EXPECT_EQ(model.vocabulary(), FakeEngine::kVocabulary);
    EXPECT_THAT(model.checkpoints(), ElementsAre("embed", "layer.0.out", "logits"));
    EXPECT_THAT(model.end_of_generation_ids(), ElementsAre(FakeTokenizer::kEnd));
  }
  {
    grpc::ClientContext context;
    v1::TokenizeRequest request;
    request.set_text("hi");
    v1::TokenizeResponse response;
    ASSERT_TRUE(stub_->Tokenize(&context, request, &response).ok());
    EXPECT_THAT(response.ids(), ElementsAre('h', 'i'));
  }
  {
    grpc::ClientContext context;
    v1::DetokenizeRequest request;
    request.add_ids(9999);
    v1::DetokenizeResponse response;
    EXPECT_EQ(stub_->Detokenize(&context, request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
}

}  // namespace
}  // namespace parity::request
