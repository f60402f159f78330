#include "worker/tokenizer/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/testing/gguf_writer.h"
#include "tests/testing/status_matchers.h"

namespace parity::tokenizer {
namespace {

using ::parity::testing::GgufWriter;
using ::parity::testing::StatusIs;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<std::unique_ptr<Vocabulary>> Read(const GgufWriter& writer,
                                                 const VocabularyDefaults& defaults = {}) {
  const std::string bytes = writer.Serialize();
  const auto file = model::GgufFile::FromBytes(
      "v.gguf", absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (!file.ok()) return file.status();
  return Vocabulary::Read(**file, defaults);
}

GgufWriter Tokens(const std::vector<std::string>& texts, const std::vector<int32_t>& types) {
  GgufWriter w;
  w.AddStrings("tokenizer.ggml.tokens", texts);
  w.AddI32s("tokenizer.ggml.token_type", types);
  return w;
}

std::vector<std::string> Cut(const Vocabulary& v, absl::string_view text, bool parse_special) {
  std::vector<std::string> out;
  for (const Fragment& f : v.CutSpecials(text, parse_special)) {
    out.push_back((f.token == kNoToken ? "" : "#") + std::string(f.text));
  }
  return out;
}

TEST(VocabularyTest, SpecialsAreCutLongestFirst) {
  ASSERT_OK_AND_ASSIGN(const auto v, Read(Tokens({"a", "<s>", "<s>x", "<u>"}, {1, 3, 3, 4})));
  EXPECT_THAT(Cut(*v, "q<s>x<s><u>r", true), ElementsAre("q", "#<s>x", "#<s>", "#<u>", "r"));
  // Control tokens only when asked for, user-defined ones always.
  EXPECT_THAT(Cut(*v, "q<s>x<s><u>r", false), ElementsAre("q<s>x<s>", "#<u>", "r"));
  EXPECT_TRUE(Cut(*v, "", true).empty());
}

// libllama goes through the text once for each token, so that the earlier one of two that overlap
// wins wherever it stands: here "ab" before "ba" before "ca".
TEST(VocabularyTest, OverlappingSpecialsOfOneLengthAreCutInOrder) {
  ASSERT_OK_AND_ASSIGN(const auto v, Read(Tokens({"ab", "ba", "ca"}, {4, 4, 4})));
  EXPECT_THAT(Cut(*v, "bab", true), ElementsAre("b", "#ab"));
  EXPECT_THAT(Cut(*v, "cabca", true), ElementsAre("c", "#ab", "#ca"));
  EXPECT_THAT(Cut(*v, "bacab", true), ElementsAre("#ba", "c", "#ab"));
  EXPECT_THAT(Cut(*v, "aaba", true), ElementsAre("a", "#ab", "a"));
}

TEST(VocabularyTest, SomeSpecialsEatWhitespaceInFrontOrBehind) {
  GgufWriter mask = Tokens({"<mask>", "<s>"}, {3, 3});
  mask.AddString("tokenizer.ggml.pre", "jina-v2-de");
  ASSERT_OK_AND_ASSIGN(const auto before, Read(mask));
  EXPECT_THAT(Cut(*before, " a \n<mask> b <s> <mask>", true),
              ElementsAre(" a", "#<mask>", " b ", "#<s>", "#<mask>"));
  GgufWriter phi = Tokens({"<x>", "<s>"}, {3, 3});
  phi.AddString("general.name", "Phi-3 mini");
  ASSERT_OK_AND_ASSIGN(const auto behind, Read(phi));
  EXPECT_THAT(Cut(*behind, "<x> \n a<s> b<x>  ", true),
              ElementsAre("#<x>", "a", "#<s>", " b", "#<x>"));
}

TEST(VocabularyTest, EndOfGenerationIsKnownByTextAndByKey) {
  GgufWriter w = Tokens({"a", "<|im_end|>", "<|endoftext|>", "<stop>", "b"}, {1, 1, 3, 3, 1});
  w.AddU32("tokenizer.ggml.eos_token_id", 3);
  ASSERT_OK_AND_ASSIGN(const auto v, Read(w));
  EXPECT_THAT(v->end_of_generation_ids(), ElementsAre(1, 2, 3));
  EXPECT_TRUE(v->IsEndOfGeneration(3));
  EXPECT_FALSE(v->IsEndOfGeneration(4));
  // The text makes it a control token, whatever its type.
  EXPECT_TRUE(v->attributes(1) & kControl);
}

TEST(VocabularyTest, HarmonysEndIsNoEnd) {
  ASSERT_OK_AND_ASSIGN(const auto v,
                       Read(Tokens({"<|return|>", "<|call|>", "<|end|>"}, {3, 3, 3})));
  EXPECT_THAT(v->end_of_generation_ids(), ElementsAre(0, 1));
  EXPECT_EQ(v->attributes(2), kUserDefined);
}

TEST(VocabularyTest, IdsOutsideTheVocabularyLeaveTheDefault) {
  GgufWriter w = Tokens({"a", "b"}, {1, 1});
  w.AddU32("tokenizer.ggml.bos_token_id", 0xFFFFFFFFu);
  w.AddI32("tokenizer.ggml.eos_token_id", -1);
  VocabularyDefaults defaults;
  defaults.bos = 1;
  defaults.eos = 11;
  ASSERT_OK_AND_ASSIGN(const auto v, Read(w, defaults));
  EXPECT_EQ(v->bos(), 1);
  EXPECT_EQ(v->eos(), kNoToken);
}

TEST(VocabularyTest, HostileTablesAreRefusedByKey) {
  EXPECT_THAT(Read(GgufWriter()),
              StatusIs(kInvalid, "v.gguf: key 'tokenizer.ggml.tokens' is missing"));
  EXPECT_THAT(Read(Tokens({}, {})),
              StatusIs(kInvalid,
                       "v.gguf: key 'tokenizer.ggml.tokens' has 0 entries, 1 to 4194304 "
                       "expected"));
  EXPECT_THAT(Read(Tokens({"a", "b", "a"}, {1, 1, 1})),
              StatusIs(kInvalid,
                       "v.gguf: key 'tokenizer.ggml.tokens' has the same text at 0 and "
                       "at 2"));
  EXPECT_THAT(Read(Tokens({"a", "b"}, {1})),
              StatusIs(kInvalid,
                       "v.gguf: key 'tokenizer.ggml.token_type' has 1 entries, 2 to 4194304 "
                       "expected"));
  EXPECT_THAT(Read(Tokens({"a"}, std::vector<int32_t>((4 << 20) + 1, 1))),
              StatusIs(kInvalid,
                       "v.gguf: key 'tokenizer.ggml.token_type' has 4194305 entries, 1 to 4194304 "
                       "expected"));
  // A negative byte, as in the published attack on <0x-1>.
  EXPECT_THAT(Read(Tokens({"<0x-1>"}, {6})),
              StatusIs(kInvalid,
                       "v.gguf: key 'tokenizer.ggml.token_type' says that token 0 is a "
                       "byte, but its text is not of the form <0xXX>"));
  EXPECT_THAT(Read(Tokens({std::string(2000, 'x')}, {3})),
              StatusIs(kInvalid,
                       "v.gguf: key 'tokenizer.ggml.tokens' has a special token of 2000 "
                       "bytes at 0, at most 1024 expected"));
  GgufWriter scores = Tokens({"a", "b"}, {1, 1});
  scores.AddF32s("tokenizer.ggml.scores", {0.0f, std::numeric_limits<float>::quiet_NaN()});
  EXPECT_THAT(Read(scores), StatusIs(kInvalid, "v.gguf: key 'tokenizer.ggml.scores' is NaN at 1"));
  GgufWriter bos = Tokens({"a"}, {1});
  bos.AddBool("tokenizer.ggml.add_bos_token", true);
  EXPECT_THAT(Read(bos), StatusIs(kInvalid,
                                  "v.gguf: key 'tokenizer.ggml.bos_token_id' names no token of the "
                                  "vocabulary, but texts shall begin with it"));
}

}  // namespace
}  // namespace parity::tokenizer
