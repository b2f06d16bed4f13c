#include <bpf/libbpf.h>

#include <algorithm>
#include <utility>

#include "diagnose.skel.h"
#include "diagnose/attach.h"
#include "diagnose/results.h"
#include "diagnose/system_call_numbers.h"

namespace ebpf_ai_monitor {

Status Attacher::attach_tracepoints(Attached& attached, const ProbeRequest& request,
                                    const TargetName& target) {
  const auto found = find_tracepoints(target);
  if (!found) return tl::make_unexpected(found.error());
  if (found->empty()) return fail("this kernel has no tracepoint " + request.target);
  const TargetName& first = found->front();
  const TargetName& last = found->back();
  const size_t count = found->size();
  if (is_pattern(target.name) && first.category == "syscalls" && last.category == "syscalls" &&
      count > 1)
    return attach_system_calls(attached, request, target, *found);
  if (!is_pattern(target.name) && count > 1)
    return fail("several tracepoints have the name " + target.name + ": say " + first.category +
                "/" + target.name + " or " + last.category + "/" + target.name);
  if (next_number_ + count > probes_max)
    return fail(std::to_string(count) + " tracepoints match " + request.target + ", and " +
                std::to_string(probes_max - next_number_) + " of " + std::to_string(probes_max) +
                " places are left");
  for (const TargetName& tracepoint : *found)
    if (auto status = attach_tracepoint(attached, request.filters, tracepoint); !status)
      return status;
  if (count == 1) {
    attached.counted = what_is_counted(ProbeType::tracepoint, first.name);
    attached.attached_to = "tracepoint:" + first.category + "/" + first.name;
  } else {
    const std::string tracepoints = std::to_string(count) + " tracepoints";
    attached.counted = "hits of " + tracepoints;
    attached.attached_to =
        "tracepoint:" + first.category + "/" + target.name + " (" + tracepoints + ")";
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

// A second probe on it joins the chain of the first; where all on it have failed, there is none.
Status Attacher::link_tracepoint(Attachment& attachment, const bpf_program* program,
                                 const TargetName& tracepoint) {
  const std::string name = tracepoint.category + "/" + tracepoint.name;
  const std::string key = std::string(bpf_program__name(program)) + ":" + name;
  const auto shared = tracepoints_.find(key);
  auto link_of_first = shared == tracepoints_.end() ? nullptr : shared->second.link.lock();
  if (link_of_first) {
    attachment.links.push_back(std::move(link_of_first));
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

struct Attacher::SystemCalls {
  const TargetName& target;
  const std::vector<TargetName>& found;
  std::vector<std::string> unknown{};  // those whose number is not known
  size_t total = 0;                    // attached
};

Status Attacher::attach_system_calls(Attached& attached, const ProbeRequest& request,
                                     const TargetName& target,
                                     const std::vector<TargetName>& found) {
  // Their program has the places of the fields built in.
  const auto raw = read_format({.category = "raw_syscalls", .name = "sys_enter"});
  if (!raw || tracepoint_field_offset("raw_syscalls", *raw, "id") != 8U ||
      tracepoint_field_offset("raw_syscalls", *raw, "args") != 16U)
    return fail(
        "this kernel's raw_syscalls/sys_enter has another form (PREEMPT_RT): ask for single system "
        "calls");
  SystemCalls calls{.target = target, .found = found};
  for (const std::string side : {"sys_enter_", "sys_exit_"})
    if (auto status = attach_system_calls_of(side, attached, request.filters, calls); !status)
      return status;
  if (attached.attachments.empty())
    return fail("the numbers of the system calls that match " + request.target +
                " are not known: ask for single ones, as syscalls/" + calls.unknown.front());
  attached.counted = "hits of " + target.name;
  const std::string sides = attached.attachments.size() == 2                          ? "*"
                            : attached.attachments.front().event_type == "sys_enter_" ? "sys_enter"
                                                                                      : "sys_exit";
  attached.attached_to =
      "tracepoint:raw_syscalls/" + sides + " (" + std::to_string(calls.total) + " system calls)";
  if (!calls.unknown.empty()) {
    std::string names;
    for (const std::string& name : calls.unknown) names += (names.empty() ? "" : ", ") + name;
    attached.notes.push_back("the numbers of these are not known: " + names);
  }
  return {};
}

Status Attacher::attach_system_calls_of(const std::string& side, Attached& attached,
                                        const ProbeFilters& filters, SystemCalls& calls) {
  const bool enter = side == "sys_enter_";
  diagnose_probe entry{};
  std::map<unsigned, Attachment::SystemCall> by_number;
  for (const TargetName& tracepoint : calls.found) {
    if (!tracepoint.name.starts_with(side)) continue;
    const auto number = system_call_number(tracepoint.name.substr(side.size()));
    if (!number) {
      calls.unknown.push_back(tracepoint.name);
      continue;
    }
    auto decoder = plan_system_call(tracepoint, enter, *number);
    if (!decoder) return tl::make_unexpected(decoder.error());
    entry.syscalls[*number / 64] |= 1ULL << (*number % 64);
    by_number[*number] = {.event_type = tracepoint.name, .decoder = std::move(*decoder)};
  }
  if (by_number.empty()) return {};
  calls.total += by_number.size();
  if (matches(calls.target.name, side)) {  // all of them: those without a number here as well
    std::ranges::fill(entry.syscalls, ~uint64_t{0});
    calls.unknown.clear();
  }
  auto attachment = add(attached, filters, entry);
  if (!attachment) return tl::make_unexpected(attachment.error());
  (*attachment)->event_type = side;
  (*attachment)->system_calls = std::move(by_number);
  return link_tracepoint(**attachment,
                         enter ? programs_.progs.on_syscall_enter : programs_.progs.on_syscall_exit,
                         {.category = "raw_syscalls", .name = enter ? "sys_enter" : "sys_exit"});
}

// On its exit nothing is captured.
Result<std::unique_ptr<Decoder>> Attacher::plan_system_call(const TargetName& tracepoint,
                                                            bool enter, unsigned number) {
  const auto format = read_format(tracepoint);
  if (!format) return tl::make_unexpected(format.error());
  auto decoder = tracepoint_decoder(tracepoint.category, *format, kernel_);
  if (!decoder || !enter) return decoder;
  diagnose_layout layout{};
  diagnose_probe unused{};
  (*decoder)->instruct(unused, layout);
  if (auto status = put(programs_.maps.layouts, DIAGNOSE_PROBES + number, layout); !status)
    return tl::make_unexpected(status.error());
  return decoder;
}

}  // namespace ebpf_ai_monitor
