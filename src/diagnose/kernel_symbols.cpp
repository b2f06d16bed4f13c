#include "diagnose/kernel_symbols.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <fstream>

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
  std::string line;
  while (std::getline(file, line)) {  // "ffffffff81000000 T name\t[module]", proc(5)
    uint64_t address = 0;
    const char* const end = line.data() + line.size();
    const auto [behind, error] = std::from_chars(line.data(), end, address, 16);
    std::string_view rest(behind, static_cast<size_t>(end - behind));
    if (error != std::errc() || !(rest.starts_with(" t ") || rest.starts_with(" T "))) continue;
    rest.remove_prefix(3);
    const size_t name_end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view name = rest.substr(0, name_end);
    rest.remove_prefix(name_end);
    const size_t open = rest.find('['), close = rest.find(']');
    const bool in_module = open != std::string_view::npos && close != std::string_view::npos;
    const std::string_view module =
        in_module && open < close ? rest.substr(open + 1, close - open - 1) : "";
    addresses |= address != 0;
    const auto entry =
        symbols.by_name_.emplace(name, Function{.address = address, .module = std::string(module)});
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
  // After the first page of the last function, there is data.
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
