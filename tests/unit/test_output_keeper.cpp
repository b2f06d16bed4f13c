#include "diagnose/output_keeper.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace output_keeper_tests {

TEST(Output, KeepsHeadAndTail) {
  OutputKeeper keeper(10);
  for (int i = 0; i < 100; ++i) keeper.add("0123456789");
  EXPECT_TRUE(keeper.truncated());
  EXPECT_EQ(keeper.text(), "01234\n[... 990 bytes left out ...]\n56789");
}

TEST(Output, OfOnePieceOrMany) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += std::to_string(i) + ",";
  for (const size_t piece : {1UL, 3UL, 7UL, 1000UL}) {
    OutputKeeper keeper(20);
    for (size_t at = 0; at < text.size(); at += piece) keeper.add(text.substr(at, piece));
    EXPECT_EQ(keeper.text(), text.substr(0, 10) + "\n[... " + std::to_string(text.size() - 20) +
                                 " bytes left out ...]\n" + text.substr(text.size() - 10))
        << piece;
  }
}

TEST(Output, WhatFitsIsWhole) {
  for (const size_t size : {0UL, 1UL, 5UL, 9UL, 10UL}) {
    OutputKeeper keeper(10);
    keeper.add(std::string(size, 'x'));
    EXPECT_FALSE(keeper.truncated()) << size;
    EXPECT_EQ(keeper.text(), std::string(size, 'x'));
  }
}

}  // namespace output_keeper_tests
}  // namespace ebpf_ai_monitor
