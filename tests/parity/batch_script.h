// One sequence's life among others: what it feeds, who watches it, how it ends. For tests that
// compare it with the same life alone.
#ifndef PARITY_TESTS_PARITY_BATCH_SCRIPT_H_
#define PARITY_TESTS_PARITY_BATCH_SCRIPT_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/engine/engine.h"
#include "worker/engine/recorder.h"

namespace parity::testing {

enum class Watch : uint8_t {
  kNothing,
  kEverything,
  kLayers,       // the capture level
  kLogits,       // of every row
  kFirstLayer,   // nothing of the last layer or the head
  kLastLayer,    // but not the head
  kSubstitute,   // replaces every layer's output by values of its own
  kFailsMidway,  // its observer fails at a position
  kStopsMidway,  // its stop flag is set at a position, inside a step
};
inline constexpr int kWatches = 9;

struct Script {
  std::vector<int32_t> ids;
  int32_t prompt;  // the first ids, fed in pieces; the others one a call
  int32_t piece;   // 0: the prompt in one
  Watch watch;
  int32_t turn;     // the position where it fails or stops
  uint64_t pauses;  // seed of the pauses between calls; 0: none
};

// A random script over ids below `vocabulary`, of at most `most_tokens` ids.
Script RandomScript(std::mt19937_64& random, int32_t vocabulary, int32_t most_tokens);
std::string Describe(const Script& script);

struct Outcome {
  absl::Status status;
  std::vector<std::vector<float>> logits;
  engine::Recording recording;
};

// Runs the script in a session of its own.
Outcome RunScript(engine::Engine& engine, const Script& script);

// Empty when both are the same to the last bit; else what differs. One that ended with an error may
// have been shown more in the one than in the other before: what both were shown counts.
std::string Difference(const Outcome& expected, const Outcome& found);

}  // namespace parity::testing

#endif  // PARITY_TESTS_PARITY_BATCH_SCRIPT_H_
