#include "kernels/cuda/cuda_device.h"

#include <cuda_runtime_api.h>
#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/cublas_gemm.h"
#include "proto/status/status_macros.h"

namespace parity::kernels::cuda {
namespace {

// A graph, and the kernels at its ends for errors that name them.
struct CudaGraph : Recording {
  CudaGraph(cudaGraphExec_t graph, const char* first, const char* last)
      : graph(graph), first_kernel(first), last_kernel(last) {}
  // A broken card's answer is of no use any more.
  ~CudaGraph() override { cudaGraphExecDestroy(graph); }

  const cudaGraphExec_t graph;
  const char* const first_kernel;
  const char* const last_kernel;
};

// The oldest card that this build has code for.
constexpr int kOldestMajor = 8;

std::string Answer(cudaError_t error) {
  return absl::StrCat(cudaGetErrorString(error), " (", cudaGetErrorName(error), ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<CudaDevice>> CudaDevice::Open(int ordinal, int64_t memory_limit) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    return absl::UnavailableError(
        absl::StrCat("no CUDA device: the driver answers: ", Answer(error)));
  }
  if (ordinal < 0 || ordinal >= count) {
    return absl::NotFoundError(
        absl::StrCat("no CUDA device ", ordinal, ": the driver knows ", count, ", 0 is the first"));
  }
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, ordinal);
      error != cudaSuccess) {
    return absl::UnavailableError(absl::StrCat("CUDA device ", ordinal, ": ", Answer(error)));
  }
  if (properties.major < kOldestMajor) {
    return absl::UnimplementedError(absl::StrCat(
        "CUDA device ", ordinal, " (", properties.name, "): compute capability ", properties.major,
        ".", properties.minor, ", this build has kernels for ", kOldestMajor, ".0 and later"));
  }
  std::unique_ptr<CudaDevice> device(new CudaDevice(ordinal, properties.name, memory_limit));
  cudaError_t error = cudaSetDevice(ordinal);
  cudaStream_t stream = nullptr;
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (error != cudaSuccess) {
    return absl::UnavailableError(absl::StrCat(device->Description(), ": ", Answer(error)));
  }
  device->stream_.handle = stream;
  cudaStream_t aside = nullptr;
  error = cudaStreamCreateWithFlags(&aside, cudaStreamNonBlocking);
  if (error != cudaSuccess) {
    return absl::UnavailableError(absl::StrCat(device->Description(), ": ", Answer(error)));
  }
  device->aside_ = aside;
  ASSIGN_OR_RETURN(device->gemm_, CublasGemm::Create(stream));
  return device;
}

CudaDevice::CudaDevice(int ordinal, std::string name, int64_t memory_limit)
    : ordinal_(ordinal), name_(std::move(name)), memory_limit_(memory_limit) {}

CudaDevice::~CudaDevice() {
  CHECK(allocations_.empty()) << held_bytes_ << " bytes outlive their device";
  gemm_.reset();
  // Errors are of no use any more: a broken card gives its memory back with the process.
  for (const CopyEvents& copy : copies_) {
    for (void* event : {copy.staged, copy.arrived}) {
      if (event != nullptr) cudaEventDestroy(static_cast<cudaEvent_t>(event));
    }
  }
  for (void* stream : {stream_.handle, aside_}) {
    if (stream != nullptr) cudaStreamDestroy(static_cast<cudaStream_t>(stream));
  }
}

std::string CudaDevice::Description() const {
  return absl::StrCat("CUDA device ", ordinal_, " (", name_, ")");
}

void CudaDevice::Use() const { cudaSetDevice(ordinal_); }

void CudaDevice::Note(int error, const char* action) {
  if (error == cudaSuccess || !broken_.ok()) return;
  std::string kernels;
  if (stream_.refused_kernel != nullptr) {
    kernels = absl::StrCat(", refused kernel: ", stream_.refused_kernel);
  } else if (stream_.first_kernel != nullptr) {
    kernels = absl::StrCat(", kernels since the last wait: ", stream_.first_kernel, " to ",
                           stream_.last_kernel);
  }
  broken_ = absl::InternalError(absl::StrCat(
      Description(), ": ", Answer(static_cast<cudaError_t>(error)), " at ", action, kernels));
}

DeviceMemory CudaDevice::memory() const {
  Use();
  size_t free_bytes = 0, total_bytes = 0;
  if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) {
    return {0, held_bytes_, false};
  }
  const auto free = static_cast<int64_t>(free_bytes);
  if (memory_limit_ == 0 || memory_limit_ - held_bytes_ > free) return {free, held_bytes_, false};
  return {std::max<int64_t>(0, memory_limit_ - held_bytes_), held_bytes_, true};
}

absl::StatusOr<void*> CudaDevice::Allocate(int64_t bytes) {
  RETURN_IF_ERROR(broken_);
  Use();
  const DeviceMemory before = this->memory();
  void* memory = nullptr;
  const bool within = memory_limit_ == 0 || bytes <= before.free_bytes;
  if (within && cudaMalloc(&memory, static_cast<size_t>(bytes)) == cudaSuccess) {
    allocations_[memory] = bytes;
    held_bytes_ += bytes;
    return memory;
  }
  cudaGetLastError();  // being refused memory breaks nothing
  return absl::ResourceExhaustedError(
      absl::StrCat(bytes, " bytes of device memory needed, ", before.free_bytes, " free on ",
                   Description(), before.limited ? " within --gpu-memory-limit" : ""));
}

void CudaDevice::Free(void* memory) {
  const auto found = allocations_.find(memory);
  CHECK(found != allocations_.end());
  held_bytes_ -= found->second;
  allocations_.erase(found);
  Use();
  Note(cudaFree(memory), "freeing memory");
}

void CudaDevice::Upload(const void* from, int64_t bytes, void* to) {
  if (!broken_.ok() || stream_.error != 0) return;
  Use();
  // Pageable memory is staged before the call returns.
  Note(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                       static_cast<cudaStream_t>(stream_.handle)),
       "an upload");
}

void CudaDevice::Download(const void* from, int64_t bytes, void* to) {
  if (!broken_.ok() || stream_.error != 0) return;
  Use();
  const auto stream = static_cast<cudaStream_t>(stream_.handle);
  Note(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream),
       "a download");
  Note(cudaStreamSynchronize(stream), "a download");
}

void CudaDevice::Zero(void* memory, int64_t bytes) {
  if (!broken_.ok() || stream_.error != 0) return;
  Use();
  Note(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes),
                       static_cast<cudaStream_t>(stream_.handle)),
       "clearing memory");
}

absl::StatusOr<void*> CudaDevice::AllocateHost(int64_t bytes) {
  RETURN_IF_ERROR(broken_);
  Use();
  void* memory = nullptr;
  if (cudaMallocHost(&memory, static_cast<size_t>(bytes)) == cudaSuccess) return memory;
  cudaGetLastError();  // being refused memory breaks nothing
  return absl::ResourceExhaustedError(absl::StrCat(bytes, " bytes of pinned host memory needed"));
}

void CudaDevice::FreeHost(void* memory) {
  Use();
  Note(cudaFreeHost(memory), "freeing host memory");
}

void CudaDevice::CopyAside(int slot, const void* from, int64_t bytes, void* staging, void* to) {
  CopyEvents& copy = copies_[slot];
  copy.queued = false;
  if (!broken_.ok() || stream_.error != 0) return;
  Use();
  cudaError_t error = cudaSuccess;
  const auto then = [&](auto call) {
    if (error == cudaSuccess) error = call();
  };
  for (void** event : {&copy.staged, &copy.arrived}) {
    if (*event != nullptr) continue;
    then([&] {
      // A thread that waits sleeps.
      return cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event),
                                      cudaEventDisableTiming | cudaEventBlockingSync);
    });
  }
  const auto main = static_cast<cudaStream_t>(stream_.handle);
  const auto aside = static_cast<cudaStream_t>(aside_);
  const auto staged = static_cast<cudaEvent_t>(copy.staged);
  const auto size = static_cast<size_t>(bytes);
  then([&] { return cudaMemcpyAsync(staging, from, size, cudaMemcpyDeviceToDevice, main); });
  then([&] { return cudaEventRecord(staged, main); });
  then([&] { return cudaStreamWaitEvent(aside, staged, 0); });
  then([&] { return cudaMemcpyAsync(to, staging, size, cudaMemcpyDeviceToHost, aside); });
  then([&] { return cudaEventRecord(static_cast<cudaEvent_t>(copy.arrived), aside); });
  copy.queued = error == cudaSuccess;
  Note(error, "a tap");
}

bool CudaDevice::AwaitCopy(int slot) {
  Use();
  const CopyEvents& copy = copies_[slot];
  // What broke the card is told by Wait().
  return copy.queued && cudaEventSynchronize(static_cast<cudaEvent_t>(copy.arrived)) == cudaSuccess;
}

absl::Status CudaDevice::Wait() {
  Use();
  Note(stream_.error, "a launch");
  if (broken_.ok()) {
    Note(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_.handle)), "a wait");
  }
  if (broken_.ok()) stream_.first_kernel = stream_.last_kernel = nullptr;
  return broken_;
}

void CudaDevice::BeginRecording() {
  Use();
  stream_.first_kernel = stream_.last_kernel = nullptr;
  if (!broken_.ok() || stream_.error != 0) return;
  Note(cudaStreamBeginCapture(static_cast<cudaStream_t>(stream_.handle),
                              cudaStreamCaptureModeThreadLocal),
       "recording");
}

std::unique_ptr<Recording> CudaDevice::EndRecording() {
  Use();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  // Also after a refused launch, which has ended the recording with an error of its own.
  cudaError_t error = cudaStreamEndCapture(static_cast<cudaStream_t>(stream_.handle), &graph);
  if (stream_.error != 0) error = static_cast<cudaError_t>(stream_.error);
  if (error == cudaSuccess) error = cudaGraphInstantiate(&executable, graph, 0);
  if (graph != nullptr) cudaGraphDestroy(graph);
  Note(error, "recording");
  if (!broken_.ok()) return nullptr;
  auto recording =
      std::make_unique<CudaGraph>(executable, stream_.first_kernel, stream_.last_kernel);
  stream_.first_kernel = stream_.last_kernel = nullptr;
  return recording;
}

void CudaDevice::Replay(const Recording& recording) {
  if (!broken_.ok() || stream_.error != 0) return;
  Use();
  const auto& graph = static_cast<const CudaGraph&>(recording);
  if (stream_.first_kernel == nullptr) stream_.first_kernel = graph.first_kernel;
  stream_.last_kernel = graph.last_kernel;
  Note(cudaGraphLaunch(graph.graph, static_cast<cudaStream_t>(stream_.handle)), "a graph");
}

Stream& CudaDevice::stream() {
  Use();
  // Nothing is launched after a copy has failed.
  if (!broken_.ok() && stream_.error == 0) stream_.error = cudaErrorUnknown;
  return stream_;
}

}  // namespace parity::kernels::cuda
