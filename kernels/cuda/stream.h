// The queue that kernels are launched into, and what a launch leaves behind. Seen by nvcc and by
// the host's compiler alike.
#ifndef PARITY_KERNELS_CUDA_STREAM_H_
#define PARITY_KERNELS_CUDA_STREAM_H_

namespace parity::kernels::cuda {

// Threading: one thread at a time. A card reports a kernel's fault at a later call, so the names of
// the first and the last launch since the last wait say where to look.
struct Stream {
  void* handle = nullptr;              // cudaStream_t; the emulation runs a kernel at once
  const char* first_kernel = nullptr;  // since the last wait; null: none
  const char* last_kernel = nullptr;
  const char* refused_kernel = nullptr;  // the first launch that was refused, and the cudaError_t
  int error = 0;
  void* recorded = nullptr;  // emulation: where launches are kept instead of run (RecordedLaunches)
};

}  // namespace parity::kernels::cuda

#endif  // PARITY_KERNELS_CUDA_STREAM_H_
