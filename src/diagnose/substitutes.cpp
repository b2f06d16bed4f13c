#include "diagnose/substitutes.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ebpf_ai_monitor {
namespace {

// The newest name comes last. Linux 5.10 renamed _do_fork to kernel_clone; 5.13 renamed
// __alloc_pages_nodemask to __alloc_pages, and 6.10 that to __alloc_pages_noprof, which since 6.14
// is a wrapper of the last.
const std::vector<std::vector<std::string>> renamed = {
    {"do_fork", "_do_fork", "kernel_clone"},
    {"__alloc_pages_nodemask", "__alloc_pages", "__alloc_pages_noprof",
     "__alloc_frozen_pages_noprof"},
};

}  // namespace

std::string current_name(const KernelSymbols& symbols, const std::string& function) {
  if (symbols.count(function) > 0) return function;
  for (const auto& names : renamed) {
    if (std::ranges::find(names, function) == names.end()) continue;
    const auto newest =
        std::ranges::find_if(names.rbegin(), names.rend(),
                             [&](const std::string& name) { return symbols.count(name) > 0; });
    if (newest != names.rend()) return *newest;
  }
  return "";
}

std::optional<StandIn> stand_in(const std::string& function) {
  constexpr uint32_t syn_sent = 2;  // TCP_SYN_SENT, include/net/tcp_states.h
  if (function == "tcp_connect")
    return StandIn{.tracepoint = {.category = "sock", .name = "inet_sock_set_state"},
                   .field = "newstate",
                   .value = syn_sent,
                   .differs = "it comes before the local port is chosen"};
  for (const auto& names : renamed) {
    if (std::ranges::find(names, function) == names.end()) continue;
    if (names.front() == "do_fork")
      return StandIn{.tracepoint = {.category = "sched", .name = "sched_process_fork"},
                     .differs = "a fork that fails is not seen"};
    return StandIn{.tracepoint = {.category = "kmem", .name = "mm_page_alloc"}};
  }
  return std::nullopt;
}

}  // namespace ebpf_ai_monitor
