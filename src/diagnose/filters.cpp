#include "diagnose/filters.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string_view>

#include "system/proc.h"

namespace ebpf_ai_monitor {
namespace {

// The id of a thread would never match, because the kernel filters by process.
Status check_pid(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("Tgid:")) continue;
    const auto process = std::stol(line.substr(5));
    if (process == pid) return {};
    return fail("filter 'pid': " + std::to_string(pid) + " is a thread of process " +
                std::to_string(process));
  }
  return fail("filter 'pid': there is no process " + std::to_string(pid));
}

// Where the unified hierarchy is mounted; empty: nowhere.
std::string cgroup_mount() {
  const std::unique_ptr<FILE, int (*)(FILE*)> mounts(setmntent("/proc/self/mounts", "r"),
                                                     endmntent);
  while (const mntent* found = mounts ? getmntent(mounts.get()) : nullptr)
    if (std::string_view(found->mnt_type) == "cgroup2") return found->mnt_dir;
  return "";
}

bool is_cgroup2(int fd) {
  struct statfs about {};
  return fstatfs(fd, &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC;
}

UniqueFd open_directory(const std::string& path) {
  return UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<UniqueFd> open_group(const std::string& path) {
  std::string full = path.starts_with("0::") ? path.substr(3) : path;  // a line of /proc/PID/cgroup
  const bool absolute = full.starts_with("/");
  UniqueFd fd = absolute ? open_directory(full) : UniqueFd();
  const bool other = fd && !is_cgroup2(fd.get());
  if (fd && !other) return fd;
  const std::string mount = cgroup_mount();
  if (mount.empty()) {
    if (other) return fail("filter 'cgroup': " + full + " is not a cgroup of version 2");
    return fail("filter 'cgroup': no cgroup v2 is mounted");
  }
  const std::string in_hierarchy = mount + (absolute ? "" : "/") + full;
  fd = open_directory(in_hierarchy);
  if (fd && is_cgroup2(fd.get())) return fd;
  if (other) return fail("filter 'cgroup': " + full + " is not a cgroup of version 2");
  errno = ENOENT;
  return fail_errno("filter 'cgroup': neither " + full + " nor " + in_hierarchy);
}

// The group whose name is that, or has it behind a separator: docker-ID.scope, machine-NAME.scope.
// The container's monitor is not in it: libpod-conmon-ID.scope, lxc.monitor.NAME.
bool names_container(const std::string& group, const std::string& name) {
  if (group.find("-conmon-") != std::string::npos || group.starts_with("lxc.monitor")) return false;
  const size_t at = group.find(name);
  return at != std::string::npos &&
         (at == 0 || std::string_view("-._:").find(group[at - 1]) != std::string_view::npos);
}

Result<UniqueFd> find_group(const char* filter, const std::string& name,
                            const std::function<bool(const std::string& group)>& wanted) {
  namespace fs = std::filesystem;
  const std::string mount = cgroup_mount();
  if (mount.empty()) return fail(std::string("filter '") + filter + "': no cgroup v2 is mounted");
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(mount, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!entry->is_directory(error) || !wanted(entry->path().filename())) continue;
    found.push_back(entry->path());
    entry.disable_recursion_pending();  // groups below it count, too
  }
  if (found.empty())
    return fail(std::string("filter '") + filter + "': no cgroup below " + mount +
                " has the name " + name);
  if (found.size() > 1)
    return fail(std::string("filter '") + filter + "': several cgroups have the name " + name +
                ": give 'cgroup' " + found[0] + " or " + found[1]);
  return open_group(found.front());
}

// The monitor of a container of podman. The container's cgroup has its id and not its name; the
// monitor was started with both: `-c ID -n NAME`, conmon(8).
struct ContainerMonitor {
  pid_t pid;
  std::string id;
};

// `name`: that of the container, or the first 12 or more characters of its id.
std::optional<ContainerMonitor> monitor_of(const std::string& name) {
  constexpr size_t shortest_id = 12;
  const Proc proc;
  for (const pid_t pid : proc.processes()) {
    const auto stat = proc.stat(pid);
    if (!stat || stat->comm != "conmon") continue;
    const auto arguments = proc.arguments(pid);
    const auto value_of = [&](std::string_view option) -> std::string {
      const auto found = std::ranges::find(arguments, option);
      return arguments.end() - found < 2 ? "" : *(found + 1);
    };
    const std::string id = value_of("-c");
    if (!id.empty() &&
        (value_of("-n") == name || (name.size() >= shortest_id && id.starts_with(name))))
      return ContainerMonitor{.pid = pid, .id = id};
  }
  return std::nullopt;
}

Result<UniqueFd> open_container(const std::string& name) {
  const auto group_of = [&](const std::string& part) {
    return find_group("container", name,
                      [&](const std::string& group) { return names_container(group, part); });
  };
  auto group = group_of(name);
  if (group) return group;
  const auto monitor = monitor_of(name);
  if (!monitor) return group;
  if (auto its_group = group_of(monitor->id)) return its_group;
  // Podman without root makes no groups where the machine has those of version 1.
  const Proc proc;
  std::string instead;
  for (const pid_t first : proc.children(monitor->pid))
    if (const auto user = proc.user(first))
      instead = ": filter by 'uid' " + std::to_string(*user) +
                ", by 'comm', or by 'pid', which is " + std::to_string(first) +
                " for its first process";
  return fail("filter 'container': the container " + name + " has no cgroup v2 of its own" +
              instead);
}

uint8_t comparison_of(Comparison comparison) {
  switch (comparison) {
    case Comparison::equal:
      return DIAGNOSE_EQUAL;
    case Comparison::not_equal:
      return DIAGNOSE_NOT_EQUAL;
    case Comparison::less:
      return DIAGNOSE_LESS;
    case Comparison::less_or_equal:
      return DIAGNOSE_LESS_OR_EQUAL;
    case Comparison::greater:
      return DIAGNOSE_GREATER;
    case Comparison::greater_or_equal:
      return DIAGNOSE_GREATER_OR_EQUAL;
  }
  return 0;
}

std::optional<int64_t> number(const std::string& text) {
  const bool hexadecimal = text.starts_with("0x");
  const char* begin = text.data() + (hexadecimal ? 2 : 0);
  const char* end = text.data() + text.size();
  if (hexadecimal) {
    uint64_t value = 0;
    const auto [stop, error] = std::from_chars(begin, end, value, 16);
    if (error == std::errc() && stop == end && begin != end) return static_cast<int64_t>(value);
    return std::nullopt;
  }
  int64_t value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

// "192.0.2.1:443" or "[2001:db8::1]:443", each also without a port.
bool read_address(const std::string& text, diagnose_match& match) {
  std::string host = text;
  std::string port;
  if (text.starts_with("[")) {
    const size_t close = text.find(']');
    if (close == std::string::npos) return false;
    host = text.substr(1, close - 1);
    if (text.size() > close + 1) {
      if (text[close + 1] != ':') return false;
      port = text.substr(close + 2);
    }
  } else if (std::ranges::count(text, ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
    if (port.empty()) return false;
  }
  match.family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (inet_pton(match.family, host.c_str(), match.address) != 1) return false;
  if (port.empty()) return true;
  const auto value = number(port);
  match.value = value.value_or(0);
  return value && *value > 0 && *value <= UINT16_MAX;
}

// The form of an argument: -1 as an unsigned number of four bytes is 4294967295.
int64_t in_its_size(int64_t value, const Filterable& argument) {
  const auto bits = static_cast<uint64_t>(value);
  if (argument.is_signed) return sign_extend(bits, argument.size);
  return argument.size < 8 ? static_cast<int64_t>(bits & ((1ULL << (8 * argument.size)) - 1))
                           : value;
}

Result<diagnose_match> match_of(const ArgumentFilter& filter, const Decoder* decoder) {
  const std::string what = "filter 'args." + filter.name + "': ";
  diagnose_match match{};
  match.comparison = comparison_of(filter.comparison);
  const std::vector<Filterable> known = decoder ? decoder->filterable() : std::vector<Filterable>();
  const auto argument = std::ranges::find(known, filter.name, &Filterable::name);
  const bool addresses = !decoder || decoder->has_addresses();
  if (argument == known.end() && addresses &&
      (filter.name == "port" || filter.name == "destination")) {
    match.kind = DIAGNOSE_MATCH_ADDRESS;
    if (filter.comparison != Comparison::equal) return fail(what + "only = is allowed");
    if (filter.name == "destination") {
      if (!read_address(filter.value, match))
        return fail(what + "it is not an address, like 192.0.2.1:443 or [2001:db8::1]:443");
      return match;
    }
    const auto port = number(filter.value);
    if (!port || *port < 1 || *port > UINT16_MAX) return fail(what + "it is not a port");
    match.value = *port;
    return match;
  }
  if (!decoder)
    return fail(what +
                "for several system calls at once, only port and destination can be filtered");
  if (argument == known.end()) {
    std::string names = addresses ? "port, destination" : "";
    for (const Filterable& one : known) names += (names.empty() ? "" : ", ") + one.name;
    return fail(what + (names.empty() ? "none of its arguments can be filtered"
                                      : "there is no such argument; known: " + names));
  }
  match.at = static_cast<uint16_t>(argument->at);
  if (argument->text) {
    match.kind = DIAGNOSE_MATCH_TEXT;
    if (filter.comparison != Comparison::equal)
      return fail(what + "a text is compared with a pattern, which may contain * and ?");
    if (filter.value.size() >= DIAGNOSE_PATTERN)
      return fail(what + "a pattern has at most " + std::to_string(DIAGNOSE_PATTERN - 1) +
                  " bytes");
    filter.value.copy(match.pattern, DIAGNOSE_PATTERN - 1);
    return match;
  }
  match.kind = DIAGNOSE_MATCH_NUMBER;
  match.size = static_cast<uint8_t>(argument->size);
  match.is_signed = argument->is_signed ? 1 : 0;
  match.mask = UINT64_MAX;
  if (const auto value = number(filter.value)) {
    match.value = *value < 0 ? in_its_size(*value, *argument) : *value;
    return match;
  }
  const auto named = argument->names.read(filter.value);
  const bool equality =
      filter.comparison == Comparison::equal || filter.comparison == Comparison::not_equal;
  if (!named || (argument->names.flags && !equality))
    return fail(what + "\"" + filter.value.substr(0, 80) +
                "\" is neither a number nor one of the names of its values");
  match.value = in_its_size(static_cast<int64_t>(named->value), *argument);
  if (argument->names.flags) match.mask = named->mask;
  return match;
}

}  // namespace

Status check_filters(const ProbeFilters& filters) {
  if (filters.comm && (filters.comm->empty() || filters.comm->size() >= DIAGNOSE_COMM_LEN))
    return fail("filter 'comm': a name has 1 to 15 bytes");
  if (int{filters.cgroup.has_value()} + int{filters.unit.has_value()} +
          int{filters.container.has_value()} >
      1)
    return fail("filters 'cgroup', 'unit' and 'container': give only one of them");
  for (const auto& [name, pid] : {std::pair{"tid", filters.tid}, std::pair{"ppid", filters.ppid}})
    if (pid && access(("/proc/" + std::to_string(*pid)).c_str(), F_OK) != 0)
      return fail(std::string("filter '") + name + "': there is no " +
                  (pid == filters.tid ? "thread " : "process ") + std::to_string(*pid));
  return filters.pid ? check_pid(*filters.pid) : Status();
}

void set_filters(const ProbeFilters& filters, diagnose_probe& probe) {
  probe.use_pid = filters.pid.has_value();
  probe.pid = static_cast<uint32_t>(filters.pid.value_or(0));
  probe.use_tid = filters.tid.has_value();
  probe.tid = static_cast<uint32_t>(filters.tid.value_or(0));
  probe.use_ppid = filters.ppid.has_value();
  probe.ppid = static_cast<uint32_t>(filters.ppid.value_or(0));
  probe.use_uid = filters.uid.has_value();
  probe.uid = filters.uid.value_or(0);
  probe.use_comm = filters.comm.has_value();
  if (filters.comm) filters.comm->copy(probe.comm, sizeof(probe.comm) - 1);
  probe.use_cgroup = has_cgroup(filters);
}

Status set_outcome_filters(const ProbeFilters& filters, const Decoder* decoder,
                           const Outcomes& outcomes, diagnose_probe& probe) {
  const bool returns = outcomes.result || outcomes.latency;
  const std::string instead =
      returns ? ": it returns nothing" : ": it has none; use syscall:NAME, or the type kretprobe";
  if ((filters.any_error || !filters.errors.empty()) && !outcomes.error)
    return fail("filter 'errno'" + (outcomes.result ? ": it never returns an error" : instead));
  if (filters.result && !outcomes.result) return fail("filter 'return'" + instead);
  if ((filters.latency_min_us || filters.latency_max_us) && !outcomes.latency)
    return fail("filter 'latency_us'" + instead);
  if (filters.errors.size() > DIAGNOSE_ERRORS)
    return fail("filter 'errno': at most " + std::to_string(DIAGNOSE_ERRORS) + " at a time");
  if (filters.arguments.size() > DIAGNOSE_MATCHES)
    return fail("filter 'args': at most " + std::to_string(DIAGNOSE_MATCHES) + " at a time");
  probe.any_error = filters.any_error;
  for (const int error : filters.errors)
    probe.errors[probe.error_count++] = static_cast<uint16_t>(error);
  if (filters.result) {
    probe.result_comparison = comparison_of(filters.result->first);
    probe.result_value = filters.result->second;
  }
  probe.use_latency = filters.latency_min_us || filters.latency_max_us;
  probe.latency_min_ns = filters.latency_min_us.value_or(0) * 1000;
  probe.latency_max_ns = filters.latency_max_us ? *filters.latency_max_us * 1000 : UINT64_MAX;
  for (const ArgumentFilter& filter : filters.arguments) {
    const auto match = match_of(filter, decoder);
    if (!match) return tl::make_unexpected(match.error());
    probe.match_captures |= match->kind != DIAGNOSE_MATCH_NUMBER;
    probe.matches[probe.match_count++] = *match;
  }
  return {};
}

bool has_cgroup(const ProbeFilters& filters) {
  return filters.cgroup || filters.unit || filters.container;
}

Result<UniqueFd> open_cgroup(const ProbeFilters& filters) {
  if (filters.cgroup) return open_group(*filters.cgroup);
  if (filters.unit) {
    const std::string name =
        filters.unit->find('.') == std::string::npos ? *filters.unit + ".service" : *filters.unit;
    return find_group("unit", name, [&](const std::string& group) { return group == name; });
  }
  return open_container(*filters.container);
}

}  // namespace ebpf_ai_monitor
