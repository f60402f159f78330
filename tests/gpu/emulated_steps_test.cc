// What the cuda engine does with its device, counted on the emulated one: memory beside the plan,
// and steps that are repeated as one recording.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/emulation/emulated_device.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tiny_model.h"
#include "worker/engine/backend_engine.h"
#include "worker/model/gguf_file.h"

namespace parity::testing {
namespace {

using kernels::DType;
using kernels::Numerics;
using kernels::cuda::CudaBackend;
using kernels::cuda::CudaBackendOptions;
using kernels::cuda::MemoryPlan;
using kernels::cuda::emulation::EmulatedDevice;

constexpr int32_t kContext = 270;  // two splits

// An engine and what it told and used.
struct Emulated {
  Emulated(const TinyModelOptions& options, Numerics numerics, int64_t memory_bytes) {
    const std::string path = ::testing::TempDir() + "/steps.gguf";
    EXPECT_OK(WriteTinyModel(options, path));
    auto file = model::GgufFile::Open(path);
    EXPECT_OK(file);
    auto owned = std::make_unique<EmulatedDevice>(
        kernels::cuda::emulation::EmulatedOptions{.memory_bytes = memory_bytes});
    device = owned.get();
    CudaBackendOptions backend;
    backend.numerics = numerics;
    backend.on_plan = [this](const MemoryPlan& told) {
      EXPECT_EQ(device->memory().held_bytes, 0) << "told after something was allocated";
      plan = told;
    };
    engine = engine::BackendEngine::Create(
        *std::move(file), std::make_unique<CudaBackend>(std::move(owned), std::move(backend)),
        {.max_step_tokens = 100});
  }

  // Feeds `count` ids from `first` on in one step.
  void Feed(engine::Session& session, int count) {
    std::vector<int32_t> ids;
    for (int i = 0; i < count; ++i) ids.push_back((session.position() + i) * 37 % 300);
    logits.resize((*engine)->info().vocabulary);
    ASSERT_OK(session.Forward(ids, {}, nullptr, absl::MakeSpan(logits)));
  }

  EmulatedDevice* device;  // of the engine
  MemoryPlan plan = {};
  absl::StatusOr<std::unique_ptr<engine::Engine>> engine;
  std::vector<float> logits;
};

std::vector<TinyModelOptions> Models() {
  TinyModelOptions llama = {.layers = 1, .vocabulary = 321, .context_tokens = kContext};
  llama.matrices = llama.embedding = DType::kQ4_0;
  TinyModelOptions gemma = llama;
  gemma.architecture = "gemma3";
  gemma.layers = gemma.window_pattern = 2;
  TinyModelOptions narrow = llama;
  narrow.feed_forward = 32;
  narrow.tied = false;
  narrow.output = DType::kF16;
  return {llama, gemma, narrow};
}

TEST(MemoryPlanTest, HoldsAllThatAnEngineTakes) {
  for (const TinyModelOptions& options : Models()) {
    for (const Numerics numerics : {Numerics::kNative, Numerics::kF32}) {
      Emulated roomy(options, numerics, 1 << 30);
      ASSERT_OK(roomy.engine);
      const int64_t before = roomy.device->memory().held_bytes;
      ASSERT_OK_AND_ASSIGN(const auto session, (*roomy.engine)->NewSession(kContext));
      const int64_t cache = roomy.device->memory().held_bytes - before;
      for (int i = 0; i < 2; ++i) roomy.Feed(*session, 100);
      roomy.Feed(*session, 50);
      for (int i = 0; i < 2; ++i) roomy.Feed(*session, 8);
      roomy.Feed(*session, 1);
      const int64_t held = roomy.device->memory().held_bytes - cache;
      EXPECT_LE(held, roomy.plan.required());
      // Everything is taken at once: no step can fail for want of memory.
      EXPECT_EQ(held, before);
      EXPECT_GE(held, roomy.plan.required() * 0.95) << "the plan promises too much";

      Emulated exact(options, numerics, roomy.plan.required());
      EXPECT_OK(exact.engine);
      Emulated small(options, numerics, roomy.plan.required() - 1);
      EXPECT_THAT(small.engine,
                  StatusIs(absl::StatusCode::kResourceExhausted,
                           ::testing::HasSubstr("bytes of device memory needed (weights ")));
    }
  }
}

TEST(RepeatedStepTest, AStepIsRecordedWhenItComesAgainAndThenReplayed) {
  Emulated cuda(Models()[0], Numerics::kNative, 1 << 30);
  ASSERT_OK(cuda.engine);
  ASSERT_OK_AND_ASSIGN(const auto session, (*cuda.engine)->NewSession(kContext));
  cuda.Feed(*session, 20);
  EXPECT_EQ(cuda.device->recordings(), 0);
  cuda.Feed(*session, 1);
  EXPECT_EQ(cuda.device->recordings(), 0) << "the first runs op by op";
  for (int i = 0; i < 5; ++i) cuda.Feed(*session, 1);
  EXPECT_EQ(cuda.device->recordings(), 1);
  EXPECT_EQ(cuda.device->replays(), 5);

  // What changes from step to step: an id, a position, a place.
  const int64_t uploaded = cuda.device->uploaded();
  cuda.Feed(*session, 1);
  EXPECT_EQ(cuda.device->uploaded() - uploaded,
            2 * sizeof(int32_t) + sizeof(kernels::cuda::DevicePlace));

  // Another session's step is the same one, after a long step of its own too.
  ASSERT_OK_AND_ASSIGN(const auto other, (*cuda.engine)->NewSession(kContext));
  cuda.Feed(*other, 30);
  cuda.Feed(*other, 1);
  EXPECT_EQ(cuda.device->recordings(), 1);
  EXPECT_EQ(cuda.device->replays(), 7);
}

// What is read of the logits is no part of the recording: a row, or a few of its values.
TEST(RepeatedStepTest, WhereTheLargestLogitsDecideTheRowStaysOnTheDevice) {
  Emulated cuda(Models()[0], Numerics::kNative, 1 << 30);
  ASSERT_OK(cuda.engine);
  ASSERT_OK_AND_ASSIGN(const auto session, (*cuda.engine)->NewSession(kContext));
  for (int i = 0; i < 3; ++i) cuda.Feed(*session, 1);
  ASSERT_EQ(cuda.device->recordings(), 1);
  const int64_t before = cuda.device->downloaded();
  cuda.Feed(*session, 1);
  EXPECT_EQ(cuda.device->downloaded() - before, 321 * sizeof(float));
  engine::TopLogits top;
  ASSERT_OK(session->ForwardTop({7}, {}, nullptr, absl::MakeSpan(cuda.logits), 40, top));
  // A key each, and the sum of a row that is a single slice.
  EXPECT_EQ(
      cuda.device->downloaded() - before,
      321 * sizeof(float) + 40 * sizeof(kernels::cuda::TopKey) + sizeof(kernels::cuda::SliceSum));
  EXPECT_EQ(top.values.size(), 40u);
  EXPECT_EQ(cuda.device->recordings(), 1);
  EXPECT_EQ(cuda.device->replays(), 4);
}

TEST(RepeatedStepTest, ALongerContextIsAnotherRecording) {
  Emulated cuda(Models()[1], Numerics::kNative, 1 << 30);
  ASSERT_OK(cuda.engine);
  ASSERT_OK_AND_ASSIGN(const auto session, (*cuda.engine)->NewSession(kContext));
  cuda.Feed(*session, 100);
  cuda.Feed(*session, 100);
  cuda.Feed(*session, 52);
  for (int i = 0; i < 8; ++i) cuda.Feed(*session, 1);  // positions 252..259: one split, then two
  EXPECT_EQ(cuda.device->recordings(), 2);
  EXPECT_EQ(cuda.device->replays(), 6);
}

TEST(RepeatedStepTest, MemoryThatMovesIsRecordedAgain) {
  Emulated cuda(Models()[0], Numerics::kNative, 1 << 30);
  ASSERT_OK(cuda.engine);
  ASSERT_OK_AND_ASSIGN(const auto session, (*cuda.engine)->NewSession(kContext));
  cuda.Feed(*session, 20);
  for (int i = 0; i < 3; ++i) cuda.Feed(*session, 1);
  EXPECT_EQ(cuda.device->recordings(), 1);
  // An observer of all logits makes the engine take a larger buffer for them.
  class : public engine::Observer {
   public:
    bool Wants(engine::Stage stage, int32_t) const override {
      return stage == engine::Stage::kLogits;
    }
    absl::Status BeginStep(const engine::Step&) override { return absl::OkStatus(); }
    absl::Status Observe(engine::Stage, int32_t, const engine::MutableTensorView&) override {
      return absl::OkStatus();
    }
    absl::Status EndStep() override { return absl::OkStatus(); }
  } all_logits;
  const std::vector<int32_t> ids(30, 5);
  ASSERT_OK(session->Forward(ids, {}, &all_logits, absl::MakeSpan(cuda.logits)));
  for (int i = 0; i < 3; ++i) cuda.Feed(*session, 1);
  EXPECT_EQ(cuda.device->recordings(), 2);
}

// Keeps what it was shown, and lets no step end until it is let go: as a capture whose collector is
// slow.
class SlowObserver : public engine::Observer {
 public:
  bool Wants(engine::Stage, int32_t) const override { return true; }
  absl::Status BeginStep(const engine::Step&) override { return absl::OkStatus(); }
  absl::Status Observe(engine::Stage, int32_t, const engine::MutableTensorView&) override {
    ++shown_;
    return absl::OkStatus();
  }
  absl::Status EndStep() override {
    absl::MutexLock lock(&mutex_);
    holding_ = true;
    mutex_.Await(absl::Condition(&let_go_));
    return absl::OkStatus();
  }

  void AwaitHolding() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&holding_));
  }
  void LetGo() {
    absl::MutexLock lock(&mutex_);
    let_go_ = true;
  }
  int64_t shown() const { return shown_; }

 private:
  absl::Mutex mutex_;
  bool holding_ = false;
  bool let_go_ = false;
  int64_t shown_ = 0;
};

TEST(SlowObserverTest, HoldsUpItsOwnSessionAlone) {
  Emulated cuda(Models()[0], Numerics::kNative, 1 << 30);
  ASSERT_OK(cuda.engine);
  ASSERT_OK_AND_ASSIGN(const auto observed, (*cuda.engine)->NewSession(kContext));
  ASSERT_OK_AND_ASSIGN(const auto other, (*cuda.engine)->NewSession(kContext));
  SlowObserver slow;
  absl::Status status = absl::UnknownError("not run");
  std::thread thread([&] {
    std::vector<float> logits((*cuda.engine)->info().vocabulary);
    status = observed->Forward({1, 2, 3}, {}, &slow, absl::MakeSpan(logits));
  });
  slow.AwaitHolding();
  // Would never return if they waited for it.
  cuda.Feed(*other, 20);
  for (int i = 0; i < 3; ++i) cuda.Feed(*other, 1);
  EXPECT_EQ(other->position(), 23);
  EXPECT_EQ(observed->position(), 0) << "its step has not ended";
  EXPECT_EQ(slow.shown(), static_cast<int64_t>((*cuda.engine)->info().checkpoints.size()));
  slow.LetGo();
  thread.join();
  EXPECT_OK(status);
}

}  // namespace
}  // namespace parity::testing
