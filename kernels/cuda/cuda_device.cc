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
  ASSIGN_OR_RETURN(device->gemm_, CublasGemm::Create(stream));
  return device;
}

CudaDevice::CudaDevice(int ordinal, std::string name, int64_t memory_limit)
    : ordinal_(ordinal), name_(std::move(name)), memory_limit_(memory_limit) {}

CudaDevice::~CudaDevice() {
  CHECK(allocations_.empty()) << held_bytes_ << " bytes outlive their device";
  gemm_.reset();
  // Errors are of no use any more: a broken card gives its memory back with the process.
  if (stream_.handle != nullptr) cudaStreamDestroy(static_cast<cudaStream_t>(stream_.handle));
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
  if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) return {0, held_bytes_};
  auto free = static_cast<int64_t>(free_bytes);
  if (memory_limit_ > 0) {
    free = std::min(free, std::max<int64_t>(0, memory_limit_ - held_bytes_));
  }
  return {free, held_bytes_};
}

absl::StatusOr<void*> CudaDevice::Allocate(int64_t bytes) {
  RETURN_IF_ERROR(broken_);
  Use();
  const int64_t free = memory().free_bytes;
  void* memory = nullptr;
  const bool within = memory_limit_ == 0 || bytes <= free;
  if (within && cudaMalloc(&memory, static_cast<size_t>(bytes)) == cudaSuccess) {
    allocations_[memory] = bytes;
    held_bytes_ += bytes;
    return memory;
  }
  cudaGetLastError();  // being refused memory breaks nothing
  return absl::ResourceExhaustedError(
      absl::StrCat(bytes, " bytes of device memory needed, ", free, " free on ", Description(),
                   memory_limit_ > 0 ? " within --gpu-memory-limit" : ""));
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

absl::Status CudaDevice::Wait() {
  Use();
  Note(stream_.error, "a launch");
  if (broken_.ok()) {
    Note(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_.handle)), "a wait");
  }
  if (broken_.ok()) stream_.first_kernel = stream_.last_kernel = nullptr;
  return broken_;
}

Stream& CudaDevice::stream() {
  Use();
  // Nothing is launched after a copy has failed.
  if (!broken_.ok() && stream_.error == 0) stream_.error = cudaErrorUnknown;
  return stream_;
}

}  // namespace parity::kernels::cuda
