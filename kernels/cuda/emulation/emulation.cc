#include "kernels/cuda/emulation/emulation.h"

#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace parity::kernels::cuda::emulation {

Indices g_indices;

// Saves the callee's registers and the stack pointer to *from, and goes on where `to` was saved.
// ucontext would do the same with two system calls and, under ASan, a pass over the stack's shadow:
// a test switches some ten million times.
extern "C" void ParitySwitchFiber(void** from, void* to);

#if defined(__x86_64__)
asm(R"(
.text
.type ParitySwitchFiber, @function
ParitySwitchFiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ParitySwitchFiber, . - ParitySwitchFiber
)");
#else
#error "The emulation switches stacks by hand: add this processor's ParitySwitchFiber"
#endif

namespace {

constexpr int64_t kStackBytes = 64 << 10;  // ASan's frames are large
constexpr int kWarp = 32;
constexpr int kMostThreads = 1024;

enum class State { kReady, kAtBarrier, kAtWarpBarrier, kDone };

struct Fiber {
  void* context = nullptr;  // where it goes on
  std::unique_ptr<char[]> stack;
  State state = State::kDone;
  std::source_location site;
};

struct Warp {
  uint64_t slots[2][kWarp];
  int phase = 0;
};

// Names are compared by address: the threads of a block run one instantiation.
using Site = std::tuple<const char*, uint32_t, uint32_t>;
Site PlaceOf(const std::source_location& site) {
  return {site.file_name(), site.line(), site.column()};
}

struct SharedArray {
  std::unique_ptr<char[]> bytes;
  int64_t size;
};

class Machine {
 public:
  void Run(const char* kernel, dim3 grid, dim3 block, int64_t dynamic_bytes,
           const std::function<void()>& thread);
  void* Shared(int64_t bytes, std::source_location site);
  void* DynamicShared() { return dynamic_.get(); }
  void Wait(bool warp, std::source_location site);
  uint64_t Exchange(uint64_t bits, unsigned lane, std::source_location site);
  void set_order(Order order) { order_ = order; }
  int64_t kernels_run() const { return kernels_run_; }

 private:
  static void FiberMain();
  void RunBlock();
  void Prepare(Fiber& fiber);
  // Lets the threads of a complete barrier go on; false if there is none.
  bool Release();
  bool AllAt(int first, int count, State state) const;
  void Go(int first, int count);
  [[noreturn]] void ReportDeadlock() const;

  Order order_ = Order::kForward;
  int64_t kernels_run_ = 0;
  const char* kernel_ = nullptr;
  const std::function<void()>* thread_ = nullptr;
  int threads_ = 0;
  int current_ = 0;
  int64_t dynamic_bytes_ = 0;
  void* scheduler_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Warp warps_[kMostThreads / kWarp];
  std::map<Site, SharedArray> shared_;
  std::unique_ptr<char[]> dynamic_;
};

Machine& TheMachine() {
  static auto& machine = *new Machine;
  return machine;
}

// A fiber outlives its thread: it takes the next block's thread of the same index.
void Machine::FiberMain() {
  Machine& machine = TheMachine();
  while (true) {
    Fiber& self = *machine.fibers_[machine.current_];
    (*machine.thread_)();
    self.state = State::kDone;
    ParitySwitchFiber(&self.context, machine.scheduler_);
  }
}

void Machine::Prepare(Fiber& fiber) {
  fiber.stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  // As if FiberMain had been called and switched away at once: six registers, its address, and
  // where a caller's return address would stand, 8 beyond a multiple of 16.
  const auto top = reinterpret_cast<uintptr_t>(fiber.stack.get() + kStackBytes) & ~uintptr_t{15};
  auto* const frame = reinterpret_cast<void**>(top) - 10;
  std::fill(frame, frame + 10, nullptr);
  frame[6] = reinterpret_cast<void*>(&FiberMain);
  fiber.context = frame;
}

void Machine::Run(const char* kernel, dim3 grid, dim3 block, int64_t dynamic_bytes,
                  const std::function<void()>& thread) {
  CHECK(thread_ == nullptr) << kernel << " launched by " << kernel_;
  CHECK(block.x % kWarp == 0 && block.x >= kWarp && block.x <= kMostThreads && block.y == 1 &&
        block.z == 1)
      << kernel << ": block of " << block.x << " x " << block.y << " x " << block.z;
  // The limits of every card; a grid of no blocks is refused there too.
  CHECK(grid.x >= 1 && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535)
      << kernel << ": grid of " << grid.x << " x " << grid.y << " x " << grid.z;
  ++kernels_run_;
  kernel_ = kernel;
  thread_ = &thread;
  threads_ = static_cast<int>(block.x);
  dynamic_bytes_ = dynamic_bytes;
  while (static_cast<int>(fibers_.size()) < threads_) {
    fibers_.push_back(std::make_unique<Fiber>());
    Prepare(*fibers_.back());
  }
  g_indices.block_dim = block;
  g_indices.grid_dim = grid;
  const int64_t blocks = int64_t{grid.x} * grid.y * grid.z;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t at = order_ == Order::kForward ? i : blocks - 1 - i;
    g_indices.block = {static_cast<unsigned>(at % grid.x),
                       static_cast<unsigned>(at / grid.x % grid.y),
                       static_cast<unsigned>(at / grid.x / grid.y)};
    RunBlock();
  }
  thread_ = nullptr;
}

void Machine::RunBlock() {
  shared_.clear();
  dynamic_ = std::make_unique_for_overwrite<char[]>(dynamic_bytes_);
  std::memset(dynamic_.get(), 0xff, dynamic_bytes_);
  for (int i = 0; i < threads_; ++i) fibers_[i]->state = State::kReady;
  do {
    for (int i = 0; i < threads_; ++i) {
      current_ = order_ == Order::kForward ? i : threads_ - 1 - i;
      Fiber& fiber = *fibers_[current_];
      if (fiber.state != State::kReady) continue;
      g_indices.thread = {static_cast<unsigned>(current_), 0, 0};
      ParitySwitchFiber(&scheduler_, fiber.context);
    }
  } while (Release());
  if (!AllAt(0, threads_, State::kDone)) ReportDeadlock();
}

bool Machine::AllAt(int first, int count, State state) const {
  const Site site = PlaceOf(fibers_[first]->site);
  for (int i = first; i < first + count; ++i) {
    if (fibers_[i]->state != state) return false;
    if (state != State::kDone && PlaceOf(fibers_[i]->site) != site) return false;
  }
  return true;
}

void Machine::Go(int first, int count) {
  for (int i = first; i < first + count; ++i) fibers_[i]->state = State::kReady;
}

bool Machine::Release() {
  if (AllAt(0, threads_, State::kAtBarrier)) {
    Go(0, threads_);
    return true;
  }
  bool released = false;
  for (int first = 0; first < threads_; first += kWarp) {
    if (!AllAt(first, kWarp, State::kAtWarpBarrier)) continue;
    warps_[first / kWarp].phase ^= 1;
    Go(first, kWarp);
    released = true;
  }
  return released;
}

void Machine::ReportDeadlock() const {
  std::map<std::string, int> places;
  for (int i = 0; i < threads_; ++i) {
    const Fiber& fiber = *fibers_[i];
    const std::string where =
        std::string(fiber.site.file_name()) + ":" + std::to_string(fiber.site.line());
    ++places[fiber.state == State::kDone        ? "ended"
             : fiber.state == State::kAtBarrier ? "wait at the barrier of " + where
                                                : "wait at the warp's barrier of " + where];
  }
  std::string message;
  for (const auto& [place, count] : places) message += "; " + std::to_string(count) + " " + place;
  LOG(FATAL) << kernel_ << ": a barrier that not all threads reach, block (" << g_indices.block.x
             << ", " << g_indices.block.y << ", " << g_indices.block.z << ")" << message;
}

void* Machine::Shared(int64_t bytes, std::source_location site) {
  SharedArray& array = shared_[PlaceOf(site)];
  if (array.bytes == nullptr) {
    array.bytes = std::make_unique_for_overwrite<char[]>(bytes);
    array.size = bytes;
    std::memset(array.bytes.get(), 0xff, bytes);
  }
  CHECK_EQ(array.size, bytes) << kernel_ << ": two shared arrays on line " << site.line();
  return array.bytes.get();
}

void Machine::Wait(bool warp, std::source_location site) {
  Fiber& self = *fibers_[current_];
  const uint3 thread = g_indices.thread;
  const int index = current_;
  self.state = warp ? State::kAtWarpBarrier : State::kAtBarrier;
  self.site = site;
  ParitySwitchFiber(&self.context, scheduler_);
  current_ = index;
  g_indices.thread = thread;
}

uint64_t Machine::Exchange(uint64_t bits, unsigned lane, std::source_location site) {
  CHECK_LT(lane, static_cast<unsigned>(kWarp));
  Warp& warp = warps_[current_ / kWarp];
  // Two sets of slots: nobody can write the first again before all have passed the second's
  // barrier, and so have read the first.
  uint64_t* const slots = warp.slots[warp.phase];
  slots[current_ % kWarp] = bits;
  Wait(true, site);
  return slots[lane];
}

}  // namespace

void SetOrder(Order order) { TheMachine().set_order(order); }

int64_t KernelsRun() { return TheMachine().kernels_run(); }

void Run(const char* kernel, dim3 grid, dim3 block, int64_t dynamic_shared_bytes,
         const std::function<void()>& thread) {
  TheMachine().Run(kernel, grid, block, dynamic_shared_bytes, thread);
}

void* Shared(int64_t bytes, std::source_location site) { return TheMachine().Shared(bytes, site); }
void* DynamicShared() { return TheMachine().DynamicShared(); }
void Wait(bool warp, std::source_location site) { TheMachine().Wait(warp, site); }

uint64_t Exchange(uint64_t bits, unsigned lane, std::source_location site) {
  return TheMachine().Exchange(bits, lane, site);
}

}  // namespace parity::kernels::cuda::emulation
