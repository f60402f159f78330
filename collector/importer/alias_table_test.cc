#include "collector/importer/alias_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace parity::importer {
namespace {

using Aliases = std::map<std::string, std::string>;

TEST(AliasTableTest, KnowsTheNodesOfLlamaCpp) {
  auto table = AliasTable::Create({});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Resolve("result_output"), "logits");
  EXPECT_EQ(table->Resolve("l_out-11"), "layer.11.out");
  EXPECT_EQ(table->Resolve("Qcur-3"), "layer.3.attn.q_rope") << "a log keeps the last of them";
}

TEST(AliasTableTest, OwnNamesAndNamesNobodyKnowsStay) {
  auto table = AliasTable::Create({});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Resolve("layer.2.mlp.act"), "layer.2.mlp.act");
  EXPECT_EQ(table->Resolve("my.probe"), "my.probe");
  EXPECT_EQ(table->Resolve("l_out-x"), "l_out-x");
}

TEST(AliasTableTest, GivenAliasesComeFirst) {
  auto table = AliasTable::Create(
      Aliases{{"block{i}/out", "layer.{i}.out"}, {"result_output", "final.norm"}});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Resolve("block7/out"), "layer.7.out");
  EXPECT_EQ(table->Resolve("result_output"), "final.norm");
}

TEST(AliasTableTest, ALayerThatIsLostOrInventedIsRefusedByName) {
  for (const Aliases& bad : {Aliases{{"h{i}", "logits"}}, Aliases{{"h", "layer.{i}.out"}},
                             Aliases{{"h{i}{i}", "layer.{i}.out"}}}) {
    const auto table = AliasTable::Create(bad);
    EXPECT_TRUE(absl::IsInvalidArgument(table.status())) << bad.begin()->first;
    EXPECT_THAT(std::string(table.status().message()), testing::HasSubstr(bad.begin()->first));
  }
}

}  // namespace
}  // namespace parity::importer
