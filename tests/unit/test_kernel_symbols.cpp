#include "diagnose/kernel_symbols.h"

#include <gmock/gmock.h>

#include <fstream>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace kernel_symbols_tests {

using testing::HasSubstr;

TEST(DiagnoseSymbols, KnowFunctionsByNameAndAddress) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "kallsyms";
  std::ofstream(path) << "ffffffff81000000 T kernel_clone\n"
                         "ffffffff81000100 T __alloc_pages_noprof\n"
                         "ffffffff81000200 t twice\n"
                         "ffffffff81000300 t twice\n"
                         "ffffffff81000400 D data\n"
                         "ffffffffc0000000 t of_module\t[some_module]\n";
  const auto symbols = KernelSymbols::read(path);
  ASSERT_TRUE(symbols) << symbols.error().message;
  EXPECT_EQ(symbols->count("twice"), 2U);
  EXPECT_EQ(symbols->count("data"), 0U);
  EXPECT_EQ(symbols->module("of_module"), "some_module");
  EXPECT_EQ(symbols->at(0xffffffff81000012), "kernel_clone+0x12");
  EXPECT_EQ(symbols->at(0xffffffff81000100), "__alloc_pages_noprof");
  EXPECT_EQ(symbols->at(0x1000), "0x1000");
}

TEST(DiagnoseSymbols, HiddenAddressesAreAnError) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "kallsyms";
  std::ofstream(path) << "0000000000000000 T kernel_clone\n";
  const auto symbols = KernelSymbols::read(path);
  ASSERT_FALSE(symbols);
  EXPECT_THAT(symbols.error().message, HasSubstr("kptr_restrict"));
}

}  // namespace kernel_symbols_tests
}  // namespace ebpf_ai_monitor
