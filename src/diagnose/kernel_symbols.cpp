#include "diagnose/kernel_symbols.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace ebpf_ai_monitor {
namespace {

std::string hexadecimal(uint64_t value) {
  std::array<char, 24> text;
  std::snprintf(text.data(), text.size(), "0x%" PRIx64, value);
  return text.data();
}

}  // namespace

Result<KernelSymbols> KernelSymbols::read(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail("cannot read " + path);
  KernelSymbols symbols;
  bool addresses = false;
  std::string line, name, module;
  while (std::getline(file, line)) {  // "ffffffff81000000 T name [module]", proc(5)
    std::istringstream words(line);
    uint64_t address = 0;
    char type = 0;
    module.clear();
    if (!(words >> std::hex >> address >> type >> name)) continue;
    if (type != 't' && type != 'T') continue;
    words >> module;
    if (module.size() > 2) module = module.substr(1, module.size() - 2);
    addresses |= address != 0;
    const auto entry =
        symbols.by_name_.emplace(name, Function{.address = address, .module = module});
    symbols.by_address_.emplace_back(address, entry->first);
  }
  if (!addresses)
    return fail(path + " shows no addresses: it needs root, and kernel.kptr_restrict below 2");
  std::ranges::sort(symbols.by_address_);
  return symbols;
}

size_t KernelSymbols::count(std::string_view name) const {
  const auto [first, last] = by_name_.equal_range(name);
  return static_cast<size_t>(std::distance(first, last));
}

std::string KernelSymbols::module(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? "" : found->second.module;
}

std::string KernelSymbols::at(uint64_t address) const {
  auto after =
      std::ranges::upper_bound(by_address_, address, {}, &decltype(by_address_)::value_type::first);
  // Beyond the last function's first page it is data.
  if (after == by_address_.begin() ||
      (after == by_address_.end() && address - std::prev(after)->first > 4096))
    return hexadecimal(address);
  --after;
  const uint64_t offset = address - after->first;
  if (offset > 1U << 20) return hexadecimal(address);
  return std::string(after->second) + (offset ? "+" + hexadecimal(offset) : "");
}

std::vector<std::string> KernelSymbols::names() const {
  std::vector<std::string> names;
  for (auto it = by_name_.begin(); it != by_name_.end(); it = by_name_.upper_bound(it->first))
    names.push_back(it->first);
  return names;
}

}  // namespace ebpf_ai_monitor
