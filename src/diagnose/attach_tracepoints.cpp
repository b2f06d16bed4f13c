#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "diagnose.skel.h"
#include "diagnose/attach.h"
#include "diagnose/filters.h"
#include "diagnose/results.h"
#include "diagnose/system_call_numbers.h"

namespace ebpf_ai_monitor {

namespace {

constexpr std::string_view enter = "sys_enter_";
constexpr std::string_view leave = "sys_exit_";

// Calls that do not return: their beginning is the hit.
bool never_returns(const std::string& name) { return name == "exit" || name == "exit_group"; }

// Calls that always succeed, according to their manual pages.
bool never_fails(const std::string& name) {
  constexpr std::array names = {"getpid",  "getppid", "gettid", "getuid", "geteuid", "getgid",
                                "getegid", "getpgrp", "umask",  "sync",   "alarm"};
  return never_returns(name) || std::ranges::find(names, name) != names.end();
}

bool all_begin_with(const std::vector<TargetName>& tracepoints, std::string_view prefix) {
  return std::ranges::all_of(tracepoints, [&](const TargetName& tracepoint) {
    return tracepoint.category == "syscalls" && tracepoint.name.starts_with(prefix);
  });
}

// In the programs for system calls, the places of the fields are fixed.
bool can_join() {
  const auto raw = read_format({.category = "raw_syscalls", .name = "sys_enter"});
  return raw && tracepoint_field_offset("raw_syscalls", *raw, "id") == 8U &&
         tracepoint_field_offset("raw_syscalls", *raw, "args") == 16U;
}

// The numbers of the tracepoints, each once.
std::vector<std::string> names_of_calls(const std::vector<TargetName>& tracepoints) {
  std::vector<std::string> names;
  for (const TargetName& tracepoint : tracepoints) {
    const std::string name =
        tracepoint.name.substr(tracepoint.name.starts_with(enter) ? enter.size() : leave.size());
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

// `request` is of tracepoints.
Result<Plan> plan_tracepoints(const ProbeRequest& request, const TargetName& target) {
  const bool system_call = target.category == "syscall";
  auto found = find_tracepoints(
      system_call ? TargetName{.category = "syscalls", .name = std::string(enter) + target.name}
                  : target);
  if (!found) return tl::make_unexpected(found.error());
  if (found->empty())
    return fail(system_call ? "this kernel has no tracepoint of the system call " + target.name
                            : "this kernel has no tracepoint " + request.target);
  Plan plan{.name = target.name, .found = std::move(*found)};
  const TargetName& first = plan.found.front();
  const TargetName& last = plan.found.back();
  const bool pattern = is_pattern(target.name);
  const bool single = plan.found.size() == 1 && !pattern;
  if (first.category == "syscalls" && last.category == "syscalls") {
    const auto names = names_of_calls(plan.found);
    const bool begin = all_begin_with(plan.found, enter);
    if (all_begin_with(plan.found, leave)) {
      // The end, together with the beginning, which has the path and the address. If the number of
      // the call is not known: only the end.
      if (single && !(system_call_number(names.front()) && can_join())) return plan;
      plan.joined = true;
      plan.prefix = leave;
      plan.all = target.name == "sys_exit_*";
    } else if (system_call) {
      plan.joined = true;
      plan.all = target.name == "*";
    } else if (!single) {
      plan.joined = !begin;
      plan.prefix = begin ? enter : "";
      plan.all = target.name == (begin ? "sys_enter_*" : "*");
    } else {
      return plan;
    }
    plan.system_calls = names;
  } else if (!pattern && !single) {
    return fail("several tracepoints have the name " + target.name + ": write " + first.category +
                "/" + target.name + " or " + last.category + "/" + target.name);
  }
  return plan;
}

Result<Plan> plan_of(const ProbeRequest& request) {
  const auto target = parse_target(request.type, request.target);
  if (!target) return tl::make_unexpected(target.error());
  if (request.type != ProbeType::tracepoint) return Plan{.name = target->name};
  return plan_tracepoints(request, *target);
}

}  // namespace

PlannedProbe::PlannedProbe(ProbeRequest its_request)
    : request(std::move(its_request)), plan(plan_of(request)) {}

Status Attacher::attach_tracepoints(Attached& attached, const ProbeRequest& request,
                                    const Plan& plan) {
  if (!plan.system_calls.empty()) return attach_system_calls(attached, request, plan);
  const TargetName& first = plan.found.front();
  const size_t count = plan.found.size();
  if (next_number_ + count > probes_max)
    return fail(std::to_string(count) + " tracepoints match " + request.target + ", and " +
                std::to_string(probes_max - next_number_) + " of " + std::to_string(probes_max) +
                " places are left");
  for (const TargetName& tracepoint : plan.found)
    if (auto status = attach_tracepoint(attached, request.filters, tracepoint); !status)
      return status;
  if (count == 1) {
    attached.counted = what_is_counted(ProbeType::tracepoint, first.name);
    attached.attached_to = "tracepoint:" + first.category + "/" + first.name;
  } else {
    const std::string tracepoints = std::to_string(count) + " tracepoints";
    attached.counted = "hits of " + tracepoints;
    attached.attached_to =
        "tracepoint:" + first.category + "/" + plan.name + " (" + tracepoints + ")";
  }
  if (first.category == "irq")
    attached.notes.emplace_back("the process is the one that was interrupted");
  return {};
}

Status Attacher::attach_tracepoint(Attached& attached, const ProbeFilters& filters,
                                   const TargetName& tracepoint, const StandIn* stand_in) {
  const auto format = read_format(tracepoint);
  if (!format) return tl::make_unexpected(format.error());
  auto decoder = tracepoint_decoder(tracepoint.category, *format, kernel_);
  if (!decoder) return tl::make_unexpected(decoder.error());
  diagnose_probe entry{};
  diagnose_layout layout{};
  (*decoder)->instruct(entry, layout);
  const Outcomes outcomes{
      .error = (*decoder)->can_fail(), .result = (*decoder)->has_result(), .latency = false};
  if (auto status = set_outcome_filters(filters, decoder->get(), outcomes, entry); !status)
    return status;
  if (stand_in && !stand_in->field.empty()) {
    const auto place = tracepoint_field_offset(tracepoint.category, *format, stand_in->field);
    if (!place) return fail("tracepoint " + tracepoint.name + " has no field " + stand_in->field);
    entry.use_match = 1;
    entry.match_offset = *place;
    entry.match_value = stand_in->value;
  }
  auto attachment = add(attached, filters, entry);
  if (!attachment) return tl::make_unexpected(attachment.error());
  (*attachment)->event_type = tracepoint.name;
  (*attachment)->decoder = std::move(*decoder);
  if (auto status = put(programs_.maps.layouts, (*attachment)->number, layout); !status)
    return status;
  return link_tracepoint(**attachment, programs_.progs.on_tracepoint, tracepoint);
}

// A second probe on a tracepoint joins the chain of the first; if all of them have failed, there is
// no chain. Without `chain`, it is already on another chain, of the same probes.
Status Attacher::link_tracepoint(Attachment& attachment, const bpf_program* program,
                                 const TargetName& tracepoint, bool chain) {
  const std::string name = tracepoint.category + "/" + tracepoint.name;
  const std::string key = std::string(bpf_program__name(program)) + ":" + name;
  const auto shared = tracepoints_.find(key);
  auto link_of_first = shared == tracepoints_.end() ? nullptr : shared->second.link.lock();
  if (link_of_first) {
    attachment.links.push_back(std::move(link_of_first));
    if (!chain) return {};
    const uint32_t number = std::exchange(shared->second.last, attachment.number);
    auto last = get<diagnose_probe>(programs_.maps.probes, number);
    if (!last) return fail_errno("BPF map 'probes'");
    last->next = attachment.number + 1;
    return put(programs_.maps.probes, number, *last);
  }
  LIBBPF_OPTS(bpf_tracepoint_opts, options, .bpf_cookie = attachment.number);
  bpf_link* link = bpf_program__attach_tracepoint_opts(program, tracepoint.category.c_str(),
                                                       tracepoint.name.c_str(), &options);
  if (auto status = keep(attachment, link, "tracepoint " + name); !status) return status;
  tracepoints_[key] = {.link = attachment.links.back(), .last = attachment.number};
  return {};
}

Status Attacher::attach_system_calls(Attached& attached, const ProbeRequest& request,
                                     const Plan& plan) {
  const std::vector<std::string>& names = plan.system_calls;
  const bool joined = plan.joined;
  if (!can_join())
    return fail(
        "this kernel's raw_syscalls/sys_enter has another form (PREEMPT_RT): request individual "
        "system "
        "calls as they begin, such as syscalls/sys_enter_connect");
  diagnose_probe entry{};
  std::map<unsigned, Attachment::SystemCall> by_number;
  std::string unknown;
  const auto take = [&](const std::string& name, unsigned number) {
    const bool ends = joined && !never_returns(name);
    (ends ? entry.ends : entry.begins)[number / 64] |= 1ULL << (number % 64);
  };
  for (const std::string& name : names) {
    const auto number = system_call_number(name);
    if (!number) {
      unknown += (unknown.empty() ? "" : ", ") + name;
      continue;
    }
    auto decoder = plan_system_call(name, *number);
    if (!decoder) return tl::make_unexpected(decoder.error());
    take(name, *number);
    by_number[*number] = {.event_type = plan.prefix + name, .decoder = std::move(*decoder)};
  }
  if (by_number.empty())
    return fail("the numbers of the system calls that match " + request.target +
                " are not known: request individual ones, such as syscalls/sys_enter_" +
                names.front());
  if (plan.all) {  // also those whose number is not known here
    for (unsigned number = 0; number < DIAGNOSE_SYSCALLS; ++number)
      if (!by_number.contains(number)) take("", number);
    unknown.clear();
  }
  const Decoder* only = by_number.size() == 1 ? by_number.begin()->second.decoder.get() : nullptr;
  Outcomes outcomes;
  outcomes.result = outcomes.latency = std::ranges::any_of(entry.ends, std::identity());
  outcomes.error =
      outcomes.result && (plan.all || !std::ranges::all_of(names, [](const std::string& name) {
                            return never_fails(name);
                          }));
  if (auto status = set_outcome_filters(request.filters, only, outcomes, entry); !status)
    return status;
  auto attachment = add(attached, request.filters, entry);
  if (!attachment) return tl::make_unexpected(attachment.error());
  (*attachment)->event_type = plan.prefix;
  (*attachment)->system_calls = std::move(by_number);
  (*attachment)->joined = joined;
  if (auto status = link_tracepoint(**attachment, programs_.progs.on_syscall_enter,
                                    {.category = "raw_syscalls", .name = "sys_enter"});
      !status)
    return status;
  // All probes on the first tracepoint are on the second, too: both use the same chain.
  if (joined)
    if (auto status = link_tracepoint(**attachment, programs_.progs.on_syscall_exit,
                                      {.category = "raw_syscalls", .name = "sys_exit"}, false);
        !status)
      return status;
  const std::string what =
      names.size() == 1 ? names.front()
                        : std::to_string((*attachment)->system_calls.size()) + " system calls";
  attached.counted = joined ? "calls of " + what : "hits of " + request.target;
  attached.attached_to =
      std::string("tracepoint:raw_syscalls/") + (joined ? "*" : "sys_enter") + " (" + what + ")";
  if (!unknown.empty()) attached.notes.push_back("the numbers of these are not known: " + unknown);
  return {};
}

Result<std::unique_ptr<Decoder>> Attacher::plan_system_call(const std::string& name,
                                                            unsigned number) {
  const auto format = read_format({.category = "syscalls", .name = std::string(enter) + name});
  if (!format) return tl::make_unexpected(format.error());
  auto decoder = system_call_decoder(*format, kernel_);
  if (!decoder) return decoder;
  diagnose_layout layout{};
  diagnose_probe unused{};
  (*decoder)->instruct(unused, layout);
  if (auto status = put(programs_.maps.layouts, DIAGNOSE_PROBES + number, layout); !status)
    return tl::make_unexpected(status.error());
  return decoder;
}

}  // namespace ebpf_ai_monitor
