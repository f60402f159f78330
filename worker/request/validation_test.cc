#include "worker/request/validation.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace parity::request {
namespace {

using checkpoint::Stage;
using parity::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<checkpoint::Name> kNames = {{Stage::kEmbed, -1}, {Stage::kLogits, -1}};

absl::Status Check(const v1::GenerateRequest& request) {
  return Validate(request, {/*vocabulary=*/100, /*context_tokens=*/8, kNames});
}

v1::GenerateRequest Good() {
  v1::GenerateRequest request;
  request.set_prompt("hello");
  return request;
}

auto Invalid(const std::string& text) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text));
}

TEST(ValidationTest, AGoodRequestPasses) {
  v1::GenerateRequest request = Good();
  request.set_run("run-1.a_b");
  request.set_team("llama.cpp + x");
  request.set_temperature(0.7f);
  request.set_top_p(1);
  request.add_stop("x");
  request.mutable_capture()->set_level("logits");
  EXPECT_OK(Check(request));
}

TEST(ValidationTest, ANoteIsUtf8OfLimitedLength) {
  v1::GenerateRequest request = Good();
  request.set_note("gr\u00fc\u00dfe");
  EXPECT_OK(Check(request));
  request.set_note("\xff");
  EXPECT_THAT(Check(request), Invalid("note: found 1 bytes, expected at most 65536 of UTF-8"));
  request.set_note(std::string(65537, 'a'));
  EXPECT_THAT(Check(request), Invalid("note: found 65537 bytes"));
}

TEST(ValidationTest, AllViolationsComeAtOnceAndNothingIsEchoed) {
  v1::GenerateRequest request;
  request.set_prompt("a secret prompt");
  request.add_token_ids(5);
  request.set_run("a b");
  request.set_max_tokens(-1);
  request.set_temperature(-1);
  request.set_top_k(-2);
  request.set_top_p(1.5f);
  request.set_min_p(std::numeric_limits<float>::quiet_NaN());
  request.add_stop("");
  request.add_stop(std::string(300, 's'));
  request.mutable_capture()->add_globs("nothing.*");
  EXPECT_THAT(
      Check(request),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("10 invalid fields"), HasSubstr("prompt, token_ids"),
                     HasSubstr("run: "), HasSubstr("max_tokens: found -1"),
                     HasSubstr("temperature: found -1"), HasSubstr("top_k: found -2"),
                     HasSubstr("top_p: found 1.5"), HasSubstr("min_p: found nan"),
                     HasSubstr("stop[0]: found 0 bytes"), HasSubstr("stop[1]: found 300 bytes"),
                     HasSubstr("'nothing.*' matches no checkpoint"), Not(HasSubstr("secret")),
                     Not(HasSubstr("sss")))));
}

TEST(ValidationTest, IdsOutsideTheVocabularyAreNamedWithTheirPlace) {
  v1::GenerateRequest request;
  request.add_token_ids(99);
  request.add_token_ids(100);
  request.add_forced_token_ids(-1);
  EXPECT_THAT(Check(request), AllOf(Invalid("token_ids[1]: found 100, expected 0 to 99"),
                                    Invalid("forced_token_ids[0]: found -1")));
}

TEST(ValidationTest, APromptOverTheContextNamesBothFigures) {
  v1::GenerateRequest request;
  for (int i = 0; i < 9; ++i) request.add_token_ids(1);
  EXPECT_THAT(Check(request), Invalid("found 9 tokens, the context holds 8"));
}

TEST(ValidationTest, ACaptureNeedsARun) {
  v1::GenerateRequest request = Good();
  request.mutable_capture()->set_level("logits");
  EXPECT_THAT(Check(request), Invalid("run: empty"));
}

TEST(ValidationTest, AShadowNeedsNoPromptButAName) {
  v1::GenerateRequest request;
  EXPECT_THAT(Check(request), Invalid("exactly one"));
  request.set_follow("run/llama.cpp");
  EXPECT_OK(Check(request));
  request.set_shadow("run/llama.cpp");
  EXPECT_THAT(Check(request), Invalid("shadow, follow: expected at most one of them"));
  request.clear_follow();
  EXPECT_OK(Check(request));
  for (const char* bad : {"run", "run/", "/team", "a b/team", "run/te/am"}) {
    request.set_shadow(bad);
    EXPECT_THAT(Check(request), Invalid("shadow: expected RUN/TEAM")) << bad;
  }
}

TEST(ValidationTest, NamesAreThoseOfTheStore) {
  v1::GenerateRequest request = Good();
  request.set_run("a+b");
  request.set_team("a+b c");
  EXPECT_THAT(Check(request), Invalid("1 invalid field: run: found 3 bytes, expected 1 to 128 of"));
  request.set_team("a/b");
  EXPECT_THAT(Check(request), Invalid("; team: found 3 bytes, expected 1 to 128 of"));
}

// Row 18 of the facts' list of vulnerability classes: integers at the ends of their type.
TEST(ValidationTest, Row18IntegersOfARequestEndInTheirLine) {
  constexpr int32_t kLeast = std::numeric_limits<int32_t>::min();
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  v1::GenerateRequest request = Good();
  request.set_max_tokens(kLeast);
  EXPECT_THAT(Check(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "1 invalid field: max_tokens: found -2147483648, expected 0 or more"));
  request = Good();
  request.set_top_k(kLeast);
  EXPECT_THAT(Check(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "1 invalid field: top_k: found -2147483648, expected 0 (all) or more"));
  request = Good();
  request.set_prefill_tokens_per_step(-1);
  EXPECT_THAT(Check(request),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "1 invalid field: prefill_tokens_per_step: found -1, expected 0 (the "
                       "engine's default) or more"));
  v1::GenerateRequest ids;
  ids.add_token_ids(kMost);
  ids.add_forced_token_ids(kLeast);
  EXPECT_THAT(Check(ids), StatusIs(absl::StatusCode::kInvalidArgument,
                                   "2 invalid fields: token_ids[0]: found 2147483647, expected 0 "
                                   "to 99; forced_token_ids[0]: found -2147483648, expected 0 to "
                                   "99"));
  request = Good();
  request.set_max_tokens(kMost);
  request.set_top_k(kMost);
  request.set_prefill_tokens_per_step(kMost);
  EXPECT_OK(Check(request));
}

TEST(ValidationTest, TooManyStopStringsAreCounted) {
  v1::GenerateRequest request = Good();
  for (int i = 0; i < 17; ++i) request.add_stop("x");
  EXPECT_THAT(Check(request), Invalid("stop: found 17 strings"));
}

}  // namespace
}  // namespace parity::request
