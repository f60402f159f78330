// Runs a fuzz target over its seeds and over mutations of them, so that machines without libFuzzer
// check it too, and under GCC's sanitizers. A broken promise ends the process.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

namespace parity::fuzz {
namespace {

// A copy of exactly this size: AddressSanitizer sees the first byte read beyond it.
void RunExact(const std::string& input) {
  const std::unique_ptr<char[]> bytes(new char[input.size()]);
  std::memcpy(bytes.get(), input.data(), input.size());
  RunOne(absl::string_view(bytes.get(), input.size()));
}

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string Next() {
    std::string input = seeds_[Below(seeds_.size())];
    for (size_t changes = 1 + Below(3); changes > 0; --changes) Change(input);
    return input;
  }

 private:
  size_t Below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void Change(std::string& input) {
    const size_t at = Below(input.size());
    switch (Below(6)) {
      case 0:
        if (!input.empty()) input[at] = static_cast<char>(random_());
        break;
      case 1:
        if (!input.empty()) input[at] ^= static_cast<char>(1 << Below(8));
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.erase(at, 1 + Below(8));
        break;
      case 4: {
        const std::string& other = seeds_[Below(seeds_.size())];
        const size_t from = Below(other.size());
        input.insert(at, other, from, 1 + Below(32));
        break;
      }
      default:
        PutInteger(input, at);
    }
  }

  // A count, size or offset at the border of a type.
  void PutInteger(std::string& input, size_t at) {
    constexpr uint64_t kBorders[] = {0,          1,          0x7f,       0x80,
                                     0xffff,     1 << 24,    0x7fffffff, 0x80000000,
                                     0xffffffff, 1ull << 62, 1ull << 63, ~0ull};
    const uint64_t value = kBorders[Below(std::size(kBorders))];
    const size_t bytes = std::min(input.size() - at, size_t{1} << Below(4));
    std::memcpy(input.data() + at, &value, bytes);
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_{20240611};
};

TEST(FuzzTargetTest, SeedsKeepThePromises) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_FALSE(seeds.empty());
  EXPECT_EQ(seeds, Seeds());
  for (const std::string& seed : seeds) RunExact(seed);
  RunExact("");
}

TEST(FuzzTargetTest, MutatedSeedsKeepThePromises) {
  const std::vector<std::string> seeds = Seeds();
  Mutator mutator(seeds);
  for (int i = 0; i < kReplayedMutations; ++i) RunExact(mutator.Next());
}

}  // namespace
}  // namespace parity::fuzz
