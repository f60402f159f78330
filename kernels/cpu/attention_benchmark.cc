// Attention of single rows (SmolLM2's shapes, F16 cache) as a decode step meets it: the layer's
// weights, here 3 MiB of them, have driven the keys and values out of the caches. Beside it the
// same within the caches, and what bounds it: the bytes of keys and values over the bandwidth
// measured in the same run. Prints a Markdown table. One thread, the best of the rounds.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/peak_rates.h"

namespace parity::kernels {
namespace {

constexpr int32_t kLayers = 30, kHeads = 9, kKvHeads = 3, kHeadSize = 64;
constexpr int64_t kLayerBytes = 3 << 20;
constexpr int kRounds = 60;
using Clock = std::chrono::steady_clock;

// The rows of one step: a sequence each, `positions` long.
class Step {
 public:
  Step(Backend& backend, int sequences, int32_t positions)
      : backend_(backend),
        q_(backend, sequences, kHeads * kHeadSize),
        kv_(backend, sequences, kKvHeads * kHeadSize),
        out_(backend, sequences, kHeads * kHeadSize) {
    for (int i = 0; i < sequences; ++i) {
      caches_.push_back(*backend.NewKvCache({.layers = kLayers,
                                             .kv_heads = kKvHeads,
                                             .head_size = kHeadSize,
                                             .capacity = positions,
                                             .type = KvType::kF16}));
      places_.push_back({caches_.back().get(), 0});
    }
    for (int32_t position = 0; position < positions; ++position) {
      for (RowPlace& place : places_) place.position = position;
      for (int32_t l = 0; l < kLayers; ++l) backend.AppendKv(l, kv_.all(), kv_.all(), places_);
    }
  }

  void Attend(int32_t layer) {
    backend_.Attention({.layer = layer,
                        .heads = kHeads,
                        .kv_heads = kKvHeads,
                        .head_size = kHeadSize,
                        .scale = 0.125f},
                       q_.all(), places_, out_.all());
  }

 private:
  // Values that are no special case.
  struct Rows {
    Rows(Backend& backend, int64_t rows, int64_t cols)
        : buffer(*backend.NewBuffer(rows * cols)), rows(rows), cols(cols) {
      for (int64_t i = 0; i < rows * cols; ++i) buffer->data()[i] = 0.01f * (i * 37 % 101 - 50);
    }
    Matrix all() { return {buffer->data(), rows, cols}; }
    std::unique_ptr<Buffer> buffer;
    int64_t rows, cols;
  };

  Backend& backend_;
  Rows q_, kv_, out_;
  std::vector<std::unique_ptr<KvCache>> caches_;
  std::vector<RowPlace> places_;
};

// Seconds of the attention of all layers. Between two of them, `weights` are read.
double Measure(Step& step, const std::vector<uint8_t>& weights) {
  double best = std::numeric_limits<double>::infinity();
  volatile uint8_t sink = 0;
  for (int round = 0; round < kRounds; ++round) {
    Clock::duration spent{};
    for (int32_t l = 0; l < kLayers; ++l) {
      const size_t layer_bytes = weights.size() / kLayers;
      for (size_t i = 0; i < layer_bytes; i += 64) sink = sink + weights[l * layer_bytes + i];
      const auto start = Clock::now();
      step.Attend(weights.empty() ? 0 : l);
      spent += Clock::now() - start;
    }
    best = std::min(best, std::chrono::duration<double>(spent).count());
  }
  return best;
}

void Run() {
  auto backend = *CpuBackend::Create({.threads = 1});
  const double bandwidth = ReadBytesPerSecond(kLayerBytes * kLayers, 1);
  const std::vector<uint8_t> weights(kLayerBytes * kLayers, 1);
  std::printf("%s, %.1f GB/s read; us a key/value head of one row\n\n",
              backend->compute_path().c_str(), bandwidth * 1e-9);
  std::printf(
      "| sequences | positions | in the caches | after the weights | of the reads' bound |\n"
      "|---|---|---|---|---|\n");
  for (const int sequences : {1, 4}) {
    for (const int32_t positions : {48, 192, 1024}) {
      Step step(*backend, sequences, positions);
      const double tasks = 1.0 * kLayers * kKvHeads * sequences;
      const double hot = Measure(step, {}) / tasks;
      const double cold = Measure(step, weights) / tasks;
      const double bound = 2.0 * positions * kHeadSize * sizeof(uint16_t) / bandwidth;
      std::printf("| %d | %d | %.2f | %.2f | %.0f%% |\n", sequences, positions, hot * 1e6,
                  cold * 1e6, 100 * bound / cold);
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace parity::kernels

int main() {
  parity::kernels::Run();
  return 0;
}
