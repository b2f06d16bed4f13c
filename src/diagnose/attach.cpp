#include "diagnose/attach.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "diagnose.skel.h"
#include "diagnose/filters.h"
#include "diagnose/permission.h"
#include "diagnose/results.h"

namespace ebpf_ai_monitor {
namespace {

static_assert(probes_max == DIAGNOSE_PROBES);

// The errors by which the kernel refuses a probe of a function.
std::string attach_error(int error) {
  if (error == EPERM || error == EACCES) return "not permitted: " + missing_permission();
  if (error == EADDRNOTAVAIL) return "several functions have this name";
  if (error == EINVAL || error == EOPNOTSUPP || error == EILSEQ)
    return "the kernel does not allow a probe there (" + std::generic_category().message(error) +
           ")";
  if (error == ENOENT) return "the kernel has no such function";
  return std::generic_category().message(error);
}

}  // namespace

NeededPrograms needed_programs(const std::vector<PlannedProbe>& probes) {
  NeededPrograms needed;
  for (const auto& [request, plan] : probes) {
    if (!plan) continue;
    if (!request.filters.arguments.empty()) needed.matches = true;
    if (request.type == ProbeType::tracepoint)
      (plan->system_calls.empty() ? needed.tracepoints : needed.system_calls) = true;
    else if (!has_kprobes())
      needed.tracepoints = true;  // a tracepoint may replace it
    else
      (request.type == ProbeType::kprobe ? needed.functions : needed.returns) = true;
  }
  return needed;
}

Attacher::Attacher(const diagnose_bpf& programs) : programs_(programs) {
  const TargetName describes_flags{.category = "kmem", .name = "mm_page_alloc"};
  if (const auto format = read_format(describes_flags))
    kernel_.allocation_flags = tracepoint_field_names("kmem", *format, "gfp_flags");
}

Result<Attached> Attacher::attach(const PlannedProbe& probe) {
  const auto& [request, plan] = probe;
  if (request.duration < probe_duration_min || request.duration > probe_duration_max)
    return fail("duration must be from 1 to 300 seconds");
  if (auto status = check_filters(request.filters); !status)
    return tl::make_unexpected(status.error());
  if (!plan) return tl::make_unexpected(plan.error());
  Attached attached;
  const auto status = request.type == ProbeType::tracepoint
                          ? attach_tracepoints(attached, request, *plan)
                          : attach_function(attached, request, plan->name);
  if (!status) return tl::make_unexpected(status.error());
  return attached;
}

Result<Attachment*> Attacher::add(Attached& attached, const ProbeFilters& filters,
                                  diagnose_probe& entry) {
  if (next_number_ == probes_max)
    return fail("all " + std::to_string(probes_max) + " places for probes are taken");
  const uint32_t number = next_number_;
  entry.every = 1;
  set_filters(filters, entry);
  if (has_cgroup(filters)) {
    const auto group = open_cgroup(filters);
    if (!group) return tl::make_unexpected(group.error());
    if (auto status = put(programs_.maps.cgroups, number, static_cast<uint32_t>(group->get()));
        !status)
      return tl::make_unexpected(status.error());
  }
  for (auto status : {put(programs_.maps.probes, number, entry),
                      zero_per_cpu<diagnose_stats>(programs_.maps.stats, number)})
    if (!status) return tl::make_unexpected(status.error());
  ++next_number_;
  Attachment& attachment = attached.attachments.emplace_back();
  attachment.number = number;
  attachment.matches.assign(entry.matches, entry.matches + entry.match_count);
  return &attachment;
}

Status Attacher::keep(Attachment& attachment, bpf_link* link, const std::string& what) {
  if (!link) return fail(what + ": " + attach_error(errno));
  attachment.links.emplace_back(link, FreeBpf());
  return {};
}

Status Attacher::attach_function(Attached& attached, const ProbeRequest& request,
                                 const std::string& asked) {
  if (!has_kprobes()) return attach_stand_in(attached, request, asked);
  const auto& symbols = kernel_.symbols();
  if (!symbols) return tl::make_unexpected(symbols.error());
  const std::string function = current_name(*symbols, asked);
  if (function.empty())
    return fail("this kernel has no function " + asked + " (it may be inlined)");
  if (symbols->count(function) > 1)
    return fail("this kernel has " + std::to_string(symbols->count(function)) +
                " functions called " + function);
  if (!types_) {
    types_.reset(btf__load_vmlinux_btf());
    kernel_.types = types_.get();
  }
  auto decoder = function_decoder(function, request.type == ProbeType::kretprobe, kernel_);
  if (!decoder) return tl::make_unexpected(decoder.error());
  diagnose_probe entry{};
  diagnose_layout layout{};
  (*decoder)->instruct(entry, layout);
  const Outcomes outcomes{.error = (*decoder)->can_fail(),
                          .result = (*decoder)->has_result(),
                          .latency = request.type == ProbeType::kretprobe};
  if (auto status = set_outcome_filters(request.filters, decoder->get(), outcomes, entry); !status)
    return status;
  auto attachment = add(attached, request.filters, entry);
  if (!attachment) return tl::make_unexpected(attachment.error());
  (*attachment)->event_type = function;
  (*attachment)->decoder = std::move(*decoder);
  if (auto status = put(programs_.maps.layouts, (*attachment)->number, layout); !status)
    return status;
  if (auto status = link_function(**attachment, function, request.type); !status) return status;
  attached.attached_to = std::string(to_string(request.type)) + ":" + function;
  attached.counted = what_is_counted(request.type, function);
  if (function != asked) attached.notes.push_back(asked + " is " + function + " in this kernel");
  return {};
}

// For a return, the entry comes first: arguments and latency come from there.
Status Attacher::link_function(Attachment& attachment, const std::string& function,
                               ProbeType type) {
  const bool returns = type == ProbeType::kretprobe;
  const std::string what = std::string(to_string(type)) + ":" + function;
  LIBBPF_OPTS(bpf_kprobe_opts, options, .bpf_cookie = attachment.number);
  const auto link = [&](const bpf_program* program) {
    return keep(attachment, bpf_program__attach_kprobe_opts(program, function.c_str(), &options),
                what);
  };
  if (!returns) return link(programs_.progs.on_function);
  if (auto status = link(programs_.progs.on_function_entry); !status) return status;
  options.retprobe = true;
  return link(programs_.progs.on_function_return);
}

Status Attacher::attach_stand_in(Attached& attached, const ProbeRequest& request,
                                 const std::string& asked) {
  const auto instead = request.type == ProbeType::kretprobe ? std::nullopt : stand_in(asked);
  if (!instead)
    return fail(
        "this kernel has no kprobes (CONFIG_KPROBES), and no tracepoint means the same as " +
        std::string(to_string(request.type)) + ":" + asked);
  if (auto status = attach_tracepoint(attached, request.filters, instead->tracepoint, &*instead);
      !status)
    return status;
  const std::string name = instead->tracepoint.category + "/" + instead->tracepoint.name;
  attached.attached_to = "tracepoint:" + name;
  attached.counted = what_is_counted(request.type, asked);
  attached.notes.push_back(
      "this kernel has no kprobes: the tracepoint " + name +
      (instead->field.empty()
           ? ""
           : " (" + instead->field + " " + std::to_string(instead->value) + ")") +
      " stands in for " + asked + (instead->differs.empty() ? "" : "; " + instead->differs));
  return {};
}

}  // namespace ebpf_ai_monitor
