#include "worker/tokenizer/character_set.h"

#include <algorithm>

#include "worker/tokenizer/utf8.h"

namespace parity::tokenizer {

CharacterSet::CharacterSet(absl::string_view content) {
  const std::vector<uint32_t> c = CodePoints(content);
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  for (size_t i = 0; i < c.size();) {
    const bool range = i + 2 < c.size() && c[i + 1] == '-';
    ranges.emplace_back(c[i], range ? c[i + 2] : c[i]);
    i += range ? 3 : 1;
  }
  std::sort(ranges.begin(), ranges.end());
  for (const auto& range : ranges) {
    if (!ranges_.empty() && range.first <= ranges_.back().second) {
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    } else {
      ranges_.push_back(range);
    }
  }
}

bool CharacterSet::Contains(uint32_t code_point) const {
  const auto behind = std::upper_bound(
      ranges_.begin(), ranges_.end(), code_point,
      [](uint32_t c, const std::pair<uint32_t, uint32_t>& range) { return c < range.first; });
  return behind != ranges_.begin() && code_point <= std::prev(behind)->second;
}

}  // namespace parity::tokenizer
