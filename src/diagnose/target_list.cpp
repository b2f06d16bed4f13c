#include "diagnose/target_list.h"

#include <bpf/btf.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "diagnose/decoder.h"
#include "diagnose/substitutes.h"
#include "diagnose/target.h"
#include "system/libbpf.h"

namespace ebpf_ai_monitor {

nlohmann::json to_json(const Target& target) {
  nlohmann::json arguments = nlohmann::json::array();
  for (const auto& argument : target.arguments)
    arguments.push_back({{"name", argument.name}, {"type", argument.type}});
  return {
      {"name", target.name}, {"type", to_string(target.type)}, {"arguments", std::move(arguments)}};
}

namespace {

// For users who may not read tracefs. Everybody may read the type information. It has tracepoints
// without their category (by the function that calls a tracepoint's probes, since Linux 5.10), but
// none of the system calls', and it does not say whether a function can be probed.
Result<std::vector<Target>> targets_of_types(
    const std::function<bool(const std::string& name, const std::string& category)>& wanted) {
  constexpr std::string_view iterator = "__traceiter_";
  const BpfOwned<btf> types(btf__load_vmlinux_btf());
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
  list.reserve(targets.size());
  for (auto& [key, target] : targets) list.push_back(std::move(target));
  return list;
}

Result<Target> tracepoint_target(const TargetName& tracepoint) {
  const auto format = read_format(tracepoint);
  if (!format) return tl::make_unexpected(format.error());
  const auto arguments = tracepoint_arguments(tracepoint.category, *format);
  return Target{.name = tracepoint.category + "/" + tracepoint.name,
                .type = ProbeType::tracepoint,
                .arguments = arguments.value_or(std::vector<TargetArgument>{})};
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
  if (tracepoint && tracepoint->category == "syscall") {
    const auto calls =
        find_tracepoints({.category = "syscalls", .name = "sys_enter_" + tracepoint->name});
    if (!calls) return tl::make_unexpected(calls.error());
    for (const TargetName& name : *calls) {
      auto call = tracepoint_target(name);
      if (!call) return tl::make_unexpected(call.error());
      call->name = "syscall:" + name.name.substr(name.name.find("enter_") + 6);
      call->arguments.push_back({.name = "ret", .type = "long"});
      targets.push_back(std::move(*call));
    }
    return targets;
  }
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
  const BpfOwned<btf> types(btf__load_vmlinux_btf());
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
