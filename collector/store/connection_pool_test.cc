#include "collector/store/connection_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "collector/store/test_captures.h"

namespace parity::store {
namespace {

class ConnectionPoolTest : public ::testing::Test {
 protected:
  std::shared_ptr<Database> Take() {
    auto taken = pool_->Take();
    EXPECT_TRUE(taken.ok()) << taken.status();
    return *std::move(taken);
  }

  const std::unique_ptr<CaptureStore> store_ = OpenNewStore();
  std::shared_ptr<ConnectionPool> pool_ = std::make_shared<ConnectionPool>(store_->path());
};

TEST_F(ConnectionPoolTest, AConnectionIsOneOwnersAtATimeAndUsedAgain) {
  auto first = Take();
  const auto second = Take();
  EXPECT_NE(first, second);
  const Database* const address = first.get();
  first.reset();
  EXPECT_EQ(Take().get(), address);
}

TEST_F(ConnectionPoolTest, AConnectionUsedAgainSeesWhatWasWrittenMeanwhile) {
  constexpr char kCount[] = "SELECT count(*) FROM captures";
  EXPECT_EQ(Take()->QueryInt(kCount).value_or(-1), 0);
  WriteCapture(*store_, "r", "a", 1);
  EXPECT_EQ(Take()->QueryInt(kCount).value_or(-1), 1);
}

TEST_F(ConnectionPoolTest, FewAreKeptAndNoneOutlivesItsUse) {
  std::vector<std::shared_ptr<Database>> taken;
  std::set<const Database*> all;
  for (int i = 0; i < 10; ++i) {
    taken.push_back(Take());
    all.insert(taken.back().get());
  }
  EXPECT_EQ(all.size(), 10u);
  const auto last = std::move(taken.back());
  taken.clear();
  pool_.reset();
  EXPECT_EQ(last->QueryInt("SELECT 7").value_or(-1), 7);
}

TEST(ConnectionPoolErrorTest, AFileThatIsMissingIsNamed) {
  const auto pool = std::make_shared<ConnectionPool>("/no/such/file.db");
  EXPECT_EQ(pool->Take().status().message(), "/no/such/file.db: No such file or directory");
}

}  // namespace
}  // namespace parity::store
