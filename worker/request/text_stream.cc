#include "worker/request/text_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace parity::request {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";

struct Sequence {
  size_t length;  // bytes looked at; for an invalid one: how many to replace by one U+FFFD
  enum { kValid, kInvalid, kUnfinished } kind;
};

// Unicode's table 3-7: allowed second bytes keep out overlong forms, surrogates and values above
// U+10FFFF.
Sequence First(absl::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return {1, Sequence::kValid};
  size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, Sequence::kInvalid};
  }
  for (size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {i, Sequence::kUnfinished};
    if (at(i) < low || at(i) > high) return {i, Sequence::kInvalid};
    low = 0x80;
    high = 0xBF;
  }
  return {length, Sequence::kValid};
}

std::vector<std::string> NonEmpty(std::vector<std::string> strings) {
  strings.erase(std::remove(strings.begin(), strings.end(), std::string()), strings.end());
  return strings;
}

}  // namespace

TextStream::TextStream(std::vector<std::string> stop_strings)
    : stop_strings_(NonEmpty(std::move(stop_strings))) {}

std::string TextStream::Add(absl::string_view piece) {
  if (stopped_) return "";
  unmatched_.append(piece.data(), piece.size());
  size_t stop_at = std::string::npos;
  size_t hold_from = unmatched_.size();
  for (const std::string& stop : stop_strings_) {
    stop_at = std::min(stop_at, unmatched_.find(stop));
    // The longest tail that begins this stop string.
    size_t tail = std::min(stop.size() - 1, unmatched_.size());
    while (tail > 0 && !absl::StartsWith(
                           stop, absl::string_view(unmatched_).substr(unmatched_.size() - tail))) {
      --tail;
    }
    hold_from = std::min(hold_from, unmatched_.size() - tail);
  }
  if (stop_at != std::string::npos) {
    stopped_ = true;
    unmatched_.resize(stop_at);
    return ToUtf8(std::exchange(unmatched_, ""), /*final=*/true);
  }
  std::string held = unmatched_.substr(hold_from);
  unmatched_.resize(hold_from);
  return ToUtf8(std::exchange(unmatched_, std::move(held)), /*final=*/false);
}

std::string TextStream::Flush() {
  if (stopped_) return "";
  return ToUtf8(std::exchange(unmatched_, ""), /*final=*/true);
}

std::string TextStream::ToUtf8(absl::string_view bytes, bool final) {
  std::string all = std::exchange(unfinished_, "");
  all.append(bytes.data(), bytes.size());
  std::string text;
  for (absl::string_view rest = all; !rest.empty();) {
    const Sequence sequence = First(rest);
    if (sequence.kind == Sequence::kUnfinished && !final) {
      unfinished_ = std::string(rest);
      break;
    }
    const absl::string_view piece =
        sequence.kind == Sequence::kValid ? rest.substr(0, sequence.length) : kReplacement;
    text.append(piece.data(), piece.size());
    rest.remove_prefix(sequence.length);
  }
  return text;
}

}  // namespace parity::request
