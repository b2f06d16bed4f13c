// The functions of this kernel, from /proc/kallsyms.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

class KernelSymbols {
 public:
  // Functions only. An error if their addresses are hidden from this process (kptr_restrict).
  static Result<KernelSymbols> read(const std::string& path = "/proc/kallsyms");

  // How many functions have this name.
  size_t count(std::string_view name) const;
  // The module of the first of them; empty: the kernel itself.
  std::string module(std::string_view name) const;
  // "tcp_connect+0x12"; the address in hexadecimal if it is in no function.
  std::string at(uint64_t address) const;
  std::vector<std::string> names() const;

 private:
  struct Function {
    uint64_t address;
    std::string module;
  };
  std::multimap<std::string, Function, std::less<>> by_name_;
  std::vector<std::pair<uint64_t, std::string_view>> by_address_;
};

}  // namespace ebpf_ai_monitor
