#include "diagnose/targets.h"

#include <bpf/btf.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "diagnose/decoder.h"

namespace ebpf_ai_monitor {
namespace {

// Newest name last. Linux 5.10 took _do_fork for kernel_clone; 5.13 __alloc_pages_nodemask for
// __alloc_pages, 6.10 that for __alloc_pages_noprof, which since 6.14 is a wrapper of the last.
const std::vector<std::vector<std::string>> renamed = {
    {"do_fork", "_do_fork", "kernel_clone"},
    {"__alloc_pages_nodemask", "__alloc_pages", "__alloc_pages_noprof",
     "__alloc_frozen_pages_noprof"},
};

bool is_name(std::string_view text, std::string_view extra) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
           extra.find(c) != std::string_view::npos;
  });
}

}  // namespace

bool is_pattern(std::string_view name) {
  return name.find_first_of("*?") != std::string_view::npos;
}

bool matches(const std::string& pattern, const std::string& name) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

Result<TargetName> parse_target(ProbeType type, const std::string& target) {
  const auto refuse = [&](const std::string& why) {
    return fail("target '" + target.substr(0, 200) + "': " + why);
  };
  std::string text = target;
  for (const auto prefix : {ProbeType::tracepoint, ProbeType::kprobe, ProbeType::kretprobe}) {
    const std::string with_colon = std::string(to_string(prefix)) + ":";
    if (!text.starts_with(with_colon)) continue;
    if (prefix != type)
      return refuse("it is a " + std::string(to_string(prefix)) + ", and the type is " +
                    std::string(to_string(type)));
    text.erase(0, with_colon.size());
    break;
  }
  if (type != ProbeType::tracepoint) {
    if (is_pattern(text)) return refuse("a function's name has no wildcards");
    if (!is_name(text, ".")) return refuse("it is no name of a kernel function, like tcp_connect");
    return TargetName{.category = "", .name = text};
  }
  TargetName name{.category = "", .name = text};
  if (const size_t separator = text.find_first_of("/:"); separator != std::string::npos)
    name = {.category = text.substr(0, separator), .name = text.substr(separator + 1)};
  const bool has_category = text != name.name;
  if (!is_name(name.name, "*?-") || (has_category && !is_name(name.category, "-")))
    return refuse("it is no name of a tracepoint, like syscalls/sys_enter_connect or sched/*");
  return name;
}

Result<std::vector<TargetName>> find_tracepoints(const TargetName& target) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::exists(tracefs_events, error))
    return fail("no " + tracefs_events.string() +
                (geteuid() == 0
                     ? ": mount tracefs there (mount -t tracefs nodev /sys/kernel/tracing)"
                     : ": tracefs needs root, and to be mounted"));
  std::vector<TargetName> found;
  for (fs::directory_iterator category(tracefs_events, error), end; !error && category != end;
       category.increment(error)) {
    const std::string category_name = category->path().filename();
    if (!category->is_directory() || (!target.category.empty() && category_name != target.category))
      continue;
    if (category_name == "ftrace") continue;  // formats of the tracer's own entries
    std::error_code unreadable;
    for (const auto& event : fs::directory_iterator(category->path(), unreadable))
      if (event.is_directory() && matches(target.name, event.path().filename()))
        found.push_back({.category = category_name, .name = event.path().filename()});
  }
  if (error) return fail("cannot read " + tracefs_events.string() + ": " + error.message());
  std::ranges::sort(found, {},
                    [](const TargetName& name) { return std::pair(name.category, name.name); });
  return found;
}

Result<std::string> read_format(const TargetName& tracepoint) {
  const auto path = tracefs_events / tracepoint.category / tracepoint.name / "format";
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return fail("cannot read " + path.string());
  return text.str();
}

bool has_kprobes() { return access("/sys/bus/event_source/devices/kprobe/type", F_OK) == 0; }

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
    return StandIn{{"sock", "inet_sock_set_state"},
                   "newstate",
                   syn_sent,
                   "it comes before the local port is chosen"};
  for (const auto& names : renamed) {
    if (std::ranges::find(names, function) == names.end()) continue;
    if (names.front() == "do_fork")
      return StandIn{{"sched", "sched_process_fork"}, "", 0, "a fork that fails is not seen"};
    return StandIn{{"kmem", "mm_page_alloc"}, "", 0, ""};
  }
  return std::nullopt;
}

std::string what_is_counted(ProbeType type, const std::string& name) {
  static const std::map<std::string, std::string, std::less<>> calls = {
      {"tcp_connect", "TCP connection attempts"},
      {"inet_sock_set_state", "TCP state changes"},
      {"sys_enter_connect", "connection attempts"},
      {"sys_enter_execve", "program starts"},
      {"sys_enter_openat", "file opens"},
      {"kernel_clone", "process and thread creations"},
      {"sched_process_fork", "process and thread creations"},
      {"sched_process_exit", "thread exits"},
      {"irq_handler_entry", "interrupts"}};
  if (const auto found = calls.find(name); found != calls.end() && type != ProbeType::kretprobe)
    return found->second;
  if (type == ProbeType::kprobe) return "calls of " + name;
  if (type == ProbeType::kretprobe) return "returns of " + name;
  return "hits of " + name;
}

namespace {

// For who may not read tracefs: the type information is everybody's. It has tracepoints without
// their category (by the function that calls a tracepoint's probes, Linux 5.10), but none of the
// system calls', and not whether a function can be probed.
Result<std::vector<Target>> targets_of_types(
    const std::function<bool(const std::string& name, const std::string& category)>& wanted) {
  constexpr std::string_view iterator = "__traceiter_";
  const std::unique_ptr<btf, void (*)(btf*)> types(btf__load_vmlinux_btf(), btf__free);
  if (!types) return fail("the kernel has no type information (/sys/kernel/btf/vmlinux)");
  std::map<std::pair<ProbeType, std::string>, Target> targets;  // BTF may have one twice
  for (unsigned id = 1; id < btf__type_cnt(types.get()); ++id) {
    const btf_type* type = btf__type_by_id(types.get(), id);
    if (!btf_is_func(type)) continue;
    Target target{.name = btf__name_by_offset(types.get(), type->name_off),
                  .type = ProbeType::kprobe,
                  .arguments = function_arguments(*types, id)};
    if (target.name.starts_with(iterator)) {
      target.name.erase(0, iterator.size());
      target.type = ProbeType::tracepoint;
      if (!target.arguments.empty()) target.arguments.erase(target.arguments.begin());  // __data
    } else if (!has_kprobes()) {
      continue;
    }
    if (wanted(target.name, "")) targets.emplace(std::pair(target.type, target.name), target);
  }
  std::vector<Target> list;
  for (auto& [key, target] : targets) list.push_back(std::move(target));
  return list;
}

Result<Target> tracepoint_target(const TargetName& tracepoint) {
  const auto format = read_format(tracepoint);
  if (!format) return tl::make_unexpected(format.error());
  const auto arguments = tracepoint_arguments(tracepoint.category, *format);
  return Target{.name = tracepoint.category + "/" + tracepoint.name,
                .type = ProbeType::tracepoint,
                .arguments = arguments.value_or(std::vector<Target::Argument>{})};
}

}  // namespace

Result<std::vector<Target>> find_targets(const std::string& target) {
  const auto tracepoint = parse_target(ProbeType::tracepoint, target);
  const bool call = parse_target(ProbeType::kprobe, target).has_value();
  const auto function = parse_target(call ? ProbeType::kprobe : ProbeType::kretprobe, target);
  if (!tracepoint && !function) return tl::make_unexpected(tracepoint.error());
  std::vector<Target> targets;
  const auto add = [&](const std::string& name, ProbeType type) -> Status {
    const auto found = list_targets(name);
    if (!found) return tl::make_unexpected(found.error());
    std::ranges::copy_if(*found, std::back_inserter(targets),
                         [&](const Target& one) { return one.name == name && one.type == type; });
    return {};
  };
  const auto add_tracepoint = [&](const TargetName& name) -> Status {
    auto found = tracepoint_target(name);
    if (!found) return tl::make_unexpected(found.error());
    targets.push_back(std::move(*found));
    return {};
  };
  Status status;
  if (tracepoint) {
    if (const auto found = find_tracepoints(*tracepoint); !found)
      status = geteuid() == 0 ? tl::make_unexpected(found.error())
                              : add(tracepoint->name, ProbeType::tracepoint);
    else
      for (const TargetName& name : *found)
        if (status) status = add_tracepoint(name);
  }
  if (function && status && has_kprobes()) {
    const auto symbols = KernelSymbols::read();
    const std::string current = symbols ? current_name(*symbols, function->name) : "";
    status = add(current.empty() ? function->name : current, ProbeType::kprobe);
  } else if (const auto instead = function && call ? stand_in(function->name) : std::nullopt;
             instead && status && !has_kprobes()) {
    status = add_tracepoint(instead->tracepoint);
  }
  if (!status) return tl::make_unexpected(status.error());
  return targets;
}

Result<std::vector<Target>> list_targets(std::string_view pattern) {
  const std::string text(pattern);
  const auto wanted = [&](const std::string& name, const std::string& category) {
    const std::string full = category.empty() ? name : category + "/" + name;
    if (!is_pattern(text))
      return full.find(text) != std::string::npos ||
             (category + ":" + name).find(text) != std::string::npos;
    return matches(text, full) || matches(text, name) || matches(text, category + ":" + name);
  };
  const auto tracepoints = find_tracepoints({.category = "", .name = "*"});
  if (!tracepoints && geteuid() != 0) return targets_of_types(wanted);
  if (!tracepoints) return tl::make_unexpected(tracepoints.error());
  std::vector<Target> targets;
  for (const TargetName& tracepoint : *tracepoints) {
    if (!wanted(tracepoint.name, tracepoint.category)) continue;
    auto found = tracepoint_target(tracepoint);
    if (!found) return tl::make_unexpected(found.error());
    targets.push_back(std::move(*found));
  }
  if (!has_kprobes()) return targets;
  const auto symbols = KernelSymbols::read();
  if (!symbols) return tl::make_unexpected(symbols.error());
  const std::unique_ptr<btf, void (*)(btf*)> types(btf__load_vmlinux_btf(), btf__free);
  if (!types) return fail("the kernel has no type information (/sys/kernel/btf/vmlinux)");
  std::map<std::string, Target> functions;  // BTF may have one twice
  for (unsigned id = 1; id < btf__type_cnt(types.get()); ++id) {
    const btf_type* type = btf__type_by_id(types.get(), id);
    if (!btf_is_func(type)) continue;
    const std::string name = btf__name_by_offset(types.get(), type->name_off);
    if (!wanted(name, "") || symbols->count(name) != 1) continue;
    functions.emplace(name, Target{.name = name,
                                   .type = ProbeType::kprobe,
                                   .arguments = function_arguments(*types, id)});
  }
  for (auto& [name, target] : functions) targets.push_back(std::move(target));
  return targets;
}

}  // namespace ebpf_ai_monitor
