#include "worker/tokenizer/vocabulary_tokenizer.h"

#include <glog/logging.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "proto/status/status_macros.h"

namespace parity::tokenizer {

absl::StatusOr<std::vector<int32_t>> VocabularyTokenizer::Encode(
    absl::string_view text, const EncodeOptions& options) const {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("text of ", text.size(), " bytes, at most ", kMaxTextBytes, " expected"));
  }
  Encoding out;
  if (options.add_special && table().add_bos()) out.ids.push_back(table().bos());
  bool first = true;
  for (const Fragment& fragment : table().CutSpecials(text, options.parse_special)) {
    if (fragment.token != kNoToken) {
      out.ids.push_back(fragment.token);
    } else {
      RETURN_IF_ERROR(EncodeText(fragment.text, first, out));
    }
    first = fragment.token != kNoToken;
  }
  if (options.add_special && table().add_eos()) out.ids.push_back(table().eos());
  if (options.dropped_bytes != nullptr) *options.dropped_bytes = out.dropped_bytes;
  return std::move(out.ids);
}

std::string VocabularyTokenizer::Piece(int32_t id, bool print_special) const {
  CHECK(id >= 0 && id < table().size()) << "id " << id;
  const uint8_t attributes = table().attributes(id);
  const std::string& text = table().text(id);
  if (attributes & (kControl | kUnknown)) return print_special ? text : "";
  if (attributes & kUserDefined) return text;
  if (attributes & kNormal) return DecodeText(text);
  if (attributes & kByte) {
    return std::string(1, static_cast<char>(std::strtol(text.substr(3, 2).c_str(), nullptr, 16)));
  }
  return "";  // unused
}

absl::StatusOr<std::string> VocabularyTokenizer::Decode(absl::Span<const int32_t> ids,
                                                        bool print_special) const {
  std::string out;
  bool first = true;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= table().size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "token id ", ids[i], " at index ", i, " is outside the vocabulary of ", table().size()));
    }
    const std::string piece = Piece(ids[i], print_special);
    const bool special = (table().attributes(ids[i]) & (kControl | kUnknown | kUserDefined)) != 0;
    const bool drop_space =
        table().add_space_prefix() && first && !special && !piece.empty() && piece[0] == ' ';
    out.append(piece, drop_space ? 1 : 0);
    first = special;
  }
  return out;
}

}  // namespace parity::tokenizer
