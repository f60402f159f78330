// Prints what a report says of the card, a line a fact. Exit code 4 with the driver's answer where
// there is none.
#include <cstdio>

#include "tests/gpu/card.h"

int main() {
  const auto facts = parity::testing::CardFacts();
  if (!facts.ok()) {
    std::printf("%s\n", std::string(facts.status().message()).c_str());
    return 4;
  }
  for (const auto& [name, value] : *facts) {
    std::printf("%s: %s\n", name.c_str(), value.c_str());
  }
  return 0;
}
