// Random texts that tokenizers may stumble over, the same ones for a seed on every machine.
#ifndef PARITY_WORKER_TOKENIZER_RANDOM_TEXT_H_
#define PARITY_WORKER_TOKENIZER_RANDOM_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace parity::tokenizer {

// Threading: one thread.
class RandomText {
 public:
  // `extra`: texts to weave in besides, such as the special tokens of a vocabulary. Runs of one
  // character are at most `longest_run` characters long.
  RandomText(uint64_t seed, std::vector<std::string> extra, size_t longest_run)
      : random_(seed), extra_(std::move(extra)), longest_run_(longest_run) {}

  // Words of many scripts, emoji with joiners, combining marks, control characters, white space of
  // all kinds, digits, punctuation, invalid UTF-8, and now and then a very long run.
  std::string Next();

 private:
  // Not std::uniform_int_distribution, which differs from one library to the next.
  size_t Below(size_t n) { return random_() % n; }
  uint32_t Between(uint32_t first, uint32_t last) {
    return first + static_cast<uint32_t>(Below(last - first + 1));
  }
  std::string Part();
  std::string ScriptWord();
  std::string Emoji();
  std::string Marked();
  std::string Invalid();
  std::string LongRun();

  std::mt19937_64 random_;
  std::vector<std::string> extra_;
  size_t longest_run_;
};

}  // namespace parity::tokenizer

#endif  // PARITY_WORKER_TOKENIZER_RANDOM_TEXT_H_
