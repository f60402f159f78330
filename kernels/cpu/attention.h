// Causal attention over CpuKvCache, threaded so that no bit depends on the threads or on the other
// rows of the call.
#ifndef PARITY_KERNELS_CPU_ATTENTION_H_
#define PARITY_KERNELS_CPU_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/vector_ops.h"

namespace parity::kernels {

// Scratch memory of attention, one entry per thread; grows to the largest call.
using AttentionScratch = std::vector<std::vector<double>>;

// out[t, h*K..] = softmax(scale * q.k over what row t sees) v; see Backend::Attention.
// REQUIRES: every place's cache is a CpuKvCache of spec's shape; scratch.size() == pool.threads().
void Attend(const AttentionSpec& spec, Numerics numerics, const VectorOps& ops, Matrix q,
            absl::Span<const RowPlace> places, Matrix out, ThreadPool& pool,
            AttentionScratch& scratch);

}  // namespace parity::kernels

#endif  // PARITY_KERNELS_CPU_ATTENTION_H_
