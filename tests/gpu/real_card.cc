#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kernels/cuda/cuda_factory.h"
#include "proto/status/status_macros.h"
#include "tests/gpu/card.h"

namespace parity::testing {
namespace {

// Several times the largest L2 of today's cards.
constexpr int64_t kCopyBytes = int64_t{1} << 30;
constexpr int kCopies = 9;

int Device() {
  const char* const chosen = std::getenv("PARITY_GPU_DEVICE");
  return chosen != nullptr ? std::atoi(chosen) : 0;
}

absl::Status Check(cudaError_t error, const char* action) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(action, ": ", cudaGetErrorString(error)));
}

std::string Version(int version) { return absl::StrCat(version / 1000, ".", version % 1000 / 10); }

int Attribute(cudaDeviceAttr attribute) {
  int value = 0;
  return cudaDeviceGetAttribute(&value, attribute, Device()) == cudaSuccess ? value : 0;
}

// Memory and events of one measurement.
struct Copy {
  void* from = nullptr;
  void* to = nullptr;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  ~Copy() {
    cudaFree(from);
    cudaFree(to);
    if (begin != nullptr) cudaEventDestroy(begin);
    if (end != nullptr) cudaEventDestroy(end);
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<kernels::Backend>> OpenCard(const CardOptions& options) {
  return kernels::cuda::CreateCudaBackend(
      {.device = Device(), .memory_limit = options.memory_limit, .numerics = options.numerics});
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CardFacts() {
  RETURN_IF_ERROR(OpenCard({}).status());
  cudaDeviceProp card = {};
  int driver = 0, runtime = 0;
  RETURN_IF_ERROR(Check(cudaGetDeviceProperties(&card, Device()), "the card's properties"));
  RETURN_IF_ERROR(Check(cudaDriverGetVersion(&driver), "the driver's version"));
  RETURN_IF_ERROR(Check(cudaRuntimeGetVersion(&runtime), "the runtime's version"));
  size_t free = 0, total = 0;
  RETURN_IF_ERROR(Check(cudaMemGetInfo(&free, &total), "the card's memory"));
  return std::vector<std::pair<std::string, std::string>>{
      {"card", card.name},
      {"compute capability", absl::StrCat(card.major, ".", card.minor)},
      {"multiprocessors", absl::StrCat(card.multiProcessorCount)},
      {"L2", absl::StrCat(card.l2CacheSize, " bytes")},
      {"memory", absl::StrCat(total, " bytes, ", free, " free")},
      {"highest clocks",
       absl::StrFormat("SM %.0f MHz, memory %.0f MHz", Attribute(cudaDevAttrClockRate) / 1e3,
                       Attribute(cudaDevAttrMemoryClockRate) / 1e3)},
      {"CUDA", absl::StrCat("driver ", Version(driver), ", runtime ", Version(runtime))}};
}

absl::StatusOr<double> CopyBandwidth() {
  Copy copy;
  RETURN_IF_ERROR(Check(cudaSetDevice(Device()), "the card"));
  RETURN_IF_ERROR(Check(cudaMalloc(&copy.from, kCopyBytes), "memory to copy from"));
  RETURN_IF_ERROR(Check(cudaMalloc(&copy.to, kCopyBytes), "memory to copy to"));
  RETURN_IF_ERROR(Check(cudaMemset(copy.from, 1, kCopyBytes), "filling memory"));
  RETURN_IF_ERROR(Check(cudaEventCreate(&copy.begin), "an event"));
  RETURN_IF_ERROR(Check(cudaEventCreate(&copy.end), "an event"));
  std::vector<float> millis;
  for (int i = 0; i < kCopies; ++i) {
    float elapsed = 0;
    cudaEventRecord(copy.begin);
    cudaMemcpyAsync(copy.to, copy.from, kCopyBytes, cudaMemcpyDeviceToDevice);
    cudaEventRecord(copy.end);
    RETURN_IF_ERROR(Check(cudaEventSynchronize(copy.end), "a copy"));
    RETURN_IF_ERROR(Check(cudaEventElapsedTime(&elapsed, copy.begin, copy.end), "a copy's time"));
    millis.push_back(elapsed);
  }
  std::nth_element(millis.begin(), millis.begin() + kCopies / 2, millis.end());
  return 2.0 * static_cast<double>(kCopyBytes) / (millis[kCopies / 2] * 1e-3);
}

}  // namespace parity::testing
