#include "proto/serve/address.h"

#include <string>

#include "gtest/gtest.h"

namespace parity::serve {
namespace {

TEST(AddressTest, FormsRoundTrip) {
  for (const char* text : {"127.0.0.1:50051", "localhost:0", "[::1]:7000", "unix:/run/p.sock",
                           "collector.example:65535", "unix:relative.sock"}) {
    auto address = ParseAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(ToString(*address), text);
  }
}

TEST(AddressTest, BadFormsNameWhatWasFound) {
  for (const std::string& text :
       {std::string(""), std::string("host"), std::string(":1"), std::string("h:65536"),
        std::string("h:-1"), std::string("h:x"), std::string("unix:"), std::string("::1:80"),
        std::string("[]:80"), "unix:/" + std::string(200, 'a')}) {
    auto address = ParseAddress(text);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(address.status().message().find("'" + text + "'"), absl::string_view::npos);
  }
}

TEST(AddressTest, OnlyThisMachineIsLocal) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1", "unix:/x"}) {
    EXPECT_TRUE(IsLocal(*ParseAddress(text))) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "127.evil.example:1",
                           "localhost.example:1"}) {
    EXPECT_FALSE(IsLocal(*ParseAddress(text))) << text;
  }
}

TEST(AddressTest, OtherMachinesNeedTlsOrInsistence) {
  const Address open = *ParseAddress("0.0.0.0:1");
  const Address local = *ParseAddress("127.0.0.1:1");
  EXPECT_TRUE(MayListen(local, {}, false).ok());
  EXPECT_EQ(MayListen(open, {}, false).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(MayListen(open, {}, true).ok());
  EXPECT_TRUE(MayListen(open, {"c.pem", "k.pem", ""}, false).ok());
  EXPECT_EQ(MayListen(local, {"c.pem", "", ""}, false).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MayListen(local, {"", "", "ca.pem"}, false).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace parity::serve
