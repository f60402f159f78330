// Every type's products beside ggml's own, and beside what bounds them: for one row of activations
// the bytes of the weights over the bandwidth measured in the same run, for many the byte products
// over the peak of the SIMD path's instructions, measured too. Prints a Markdown table.
//
// One thread; weights of 64 MiB (out of the caches) for one row, of 1,024 rows for 256. Rounds of
// ours and ggml's alternate; the best of each.
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/conformance/fixtures.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/peak_rates.h"

namespace parity::kernels {
namespace {

constexpr int64_t kCols = 2048;
constexpr int64_t kStreamedBytes = 64 << 20;
constexpr int64_t kManyRows = 1024;
constexpr int64_t kManyTokens = 256;

double Seconds(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The fastest round: others were disturbed by whatever else runs.
double Best(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

struct Free {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(ggml_backend_t backend) const { ggml_backend_free(backend); }
  void operator()(ggml_backend_buffer_t buffer) const { ggml_backend_buffer_free(buffer); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// ggml's mul_mat of one weight with one matrix, ready to be computed again and again. The weight is
// repacked where ggml has a layout of its own for the type, as libllama does at load.
class Peer {
 public:
  Peer(DType dtype, const std::vector<uint8_t>& bytes, int64_t rows, int64_t tokens)
      : weights_(ggml_init({1 << 20, nullptr, true})), rest_(ggml_init({1 << 20, nullptr, true})) {
    backend_.reset(ggml_backend_cpu_init());
    ggml_backend_cpu_set_n_threads(backend_.get(), 1);
    ggml_tensor* w = ggml_new_tensor_2d(weights_.get(), static_cast<ggml_type>(dtype), kCols, rows);
    ggml_tensor* in = ggml_new_tensor_2d(rest_.get(), GGML_TYPE_F32, kCols, tokens);
    ggml_tensor* out = ggml_mul_mat(rest_.get(), w, in);
    graph_ = ggml_new_graph(rest_.get());
    weight_buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(weights_.get(), Repacking(w)));
    buffer_.reset(ggml_backend_alloc_ctx_tensors(rest_.get(), backend_.get()));
    ggml_build_forward_expand(graph_, out);
    ggml_backend_tensor_set(w, bytes.data(), 0, bytes.size());
    const std::vector<float> x = conformance::RandomFloats(kCols * tokens, 1);
    ggml_backend_tensor_set(in, x.data(), 0, x.size() * sizeof(float));
  }

  void Compute() { ggml_backend_graph_compute(backend_.get(), graph_); }

 private:
  static ggml_backend_buffer_type_t Repacking(const ggml_tensor* w) {
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    auto extra =
        reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
            ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts"));
    const bool repacked = w->type == GGML_TYPE_Q4_0 || w->type == GGML_TYPE_Q4_K ||
                          w->type == GGML_TYPE_IQ4_NL || w->type == GGML_TYPE_MXFP4;
    if (extra != nullptr && repacked) {
      ggml_backend_buffer_type_t* types = extra(cpu);
      if (types != nullptr && types[0] != nullptr) return types[0];
    }
    return ggml_backend_cpu_buffer_type();
  }

  Owned<ggml_context> weights_, rest_;
  std::unique_ptr<ggml_backend, Free> backend_;
  ggml_cgraph* graph_;
  std::unique_ptr<ggml_backend_buffer, Free> weight_buffer_, buffer_;
};

struct Times {
  double ours, peer;  // nanoseconds a row of the weight
};

Times Measure(DType dtype, int64_t rows, int64_t tokens, int rounds) {
  const std::vector<uint8_t> bytes = conformance::RandomWeight(dtype, rows, kCols, 1);
  const auto backend = *CpuBackend::Create(CpuOptions());
  const auto weight = *backend->LoadWeight({"w", dtype, rows, kCols, bytes});
  const conformance::DeviceMatrix x(*backend, conformance::RandomFloats(kCols * tokens, 1), tokens);
  const conformance::DeviceMatrix out(*backend, tokens, rows);
  Peer peer(dtype, bytes, rows, tokens);
  std::vector<double> ours, theirs;
  for (int i = 0; i <= rounds; ++i) {  // the first warms up
    const double a = Seconds([&] { backend->MatMul(*weight, x.all(), out.all()); });
    const double b = Seconds([&] { peer.Compute(); });
    if (i == 0) continue;
    ours.push_back(a);
    theirs.push_back(b);
  }
  return {Best(ours) / static_cast<double>(rows) * 1e9,
          Best(theirs) / static_cast<double>(rows) * 1e9};
}

void PrintRow(const DTypeTraits& traits, double bytes_per_second, double products_per_second) {
  const double row_bytes = static_cast<double>(RowBytes(traits.dtype, kCols));
  const int64_t rows = static_cast<int64_t>(kStreamedBytes / row_bytes) / 16 * 16;
  const Times one = Measure(traits.dtype, rows, 1, 25);
  const Times many = Measure(traits.dtype, kManyRows, kManyTokens, 15);
  const double one_bound = row_bytes / bytes_per_second * 1e9;
  const double many_bound = kCols * kManyTokens / products_per_second * 1e9;
  std::printf("| %s | %.0f | %.0f%% | %.0f | %.2f | %.0f | %.0f%% | %.0f | %.2f |\n", traits.name,
              one.ours, 100 * one_bound / one.ours, one.peer, one.peer / one.ours, many.ours,
              100 * many_bound / many.ours, many.peer, many.peer / many.ours);
  std::fflush(stdout);
}

void Run(const std::vector<std::string>& names) {
  const double bandwidth = ReadBytesPerSecond(kStreamedBytes, 1);
  const double peak = ByteProductsPerSecond(1);
  std::printf("%s; %.1f GB/s read, %.1f G byte products/s; ns a row of %d columns\n\n",
              Name(BestSimdPath()), bandwidth * 1e-9, peak * 1e-9, static_cast<int>(kCols));
  std::printf(
      "| type | 1 token | of bound | ggml | ratio | 256 tokens | of bound | ggml | ratio |\n");
  std::printf("|---|---|---|---|---|---|---|---|---|\n");
  for (const DTypeTraits& traits : AllDTypes()) {
    const bool wanted = names.empty() || std::count(names.begin(), names.end(), traits.name) > 0;
    if (wanted) PrintRow(traits, bandwidth, peak);
  }
}

}  // namespace
}  // namespace parity::kernels

// The types to measure, by name; all of them when none is given.
int main(int argc, char** argv) {
  parity::kernels::Run(std::vector<std::string>(argv + 1, argv + argc));
  return 0;
}
