#include "collector/cli/alias_file.h"

#include <gtest/gtest.h>

namespace parity::cli {
namespace {

TEST(AliasFileTest, OnePatternALine) {
  const auto aliases = ParseAliases(
      "# theirs to ours\n"
      "blk.{i}.attn_q\tlayer.{i}.attn.q\r\n"
      "\n"
      "  output   logits  # the head\n",
      "names.txt");
  ASSERT_TRUE(aliases.ok()) << aliases.status();
  EXPECT_EQ(*aliases, (Aliases{{"blk.{i}.attn_q", "layer.{i}.attn.q"}, {"output", "logits"}}));
}

TEST(AliasFileTest, DamageIsLocated) {
  EXPECT_EQ(ParseAliases("a b\nc\n", "names.txt").status().message(),
            "names.txt:2: found 1 words, expected PATTERN NAME");
  EXPECT_EQ(ParseAliases("a b\na c\n", "names.txt").status().message(),
            "names.txt:2: pattern 'a' came before");
  EXPECT_EQ(ReadAliasFile("no-such.txt").status().message(),
            "no-such.txt: No such file or directory");
  EXPECT_EQ(ReadAliasFile("/").status().message(), "/: is a directory, expected an alias file");
}

}  // namespace
}  // namespace parity::cli
