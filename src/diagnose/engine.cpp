#include "diagnose/engine.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <mntent.h>
#include <seccomp.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdarg>
#include <cstring>
#include <fstream>
#include <map>

#include "diagnose.skel.h"
#include "diagnose/decoder.h"
#include "diagnose/kernel_symbols.h"
#include "diagnose/report.h"
#include "diagnose/targets.h"
#include "system/capabilities.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

static_assert(probes_max == DIAGNOSE_PROBES);

// Events kept of a probe until it has ended, and their bytes; beyond that, every other one goes.
constexpr size_t kept_max = 4096;
constexpr size_t kept_bytes_max = 4UL * 1024 * 1024;
// How often the ring buffer is emptied; when it is half full, at once.
constexpr Nanoseconds drain_interval = std::chrono::milliseconds(100);
// Of the events of all probes in an answer, as JSON.
constexpr size_t answer_bytes = size_t{160} * 1024;

struct Destroy {
  void operator()(diagnose_bpf* skeleton) const { diagnose_bpf__destroy(skeleton); }
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  void operator()(btf* types) const { btf__free(types); }
};
template <typename T>
using Owned = std::unique_ptr<T, Destroy>;

// libbpf tells what went wrong in prose: kept for the error.
std::string& libbpf_says() {
  static std::string text;
  return text;
}

int print_libbpf(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  std::array<char, 1024> text;
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string line(text.data());
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (libbpf_says().empty()) libbpf_says() = line;
  spdlog::debug("{}", line);
  return 0;
}

std::string what_lacks() {
  std::string lacking;
  for (const auto& [number, name] :
       {std::pair(CAP_BPF, "CAP_BPF"), std::pair(CAP_PERFMON, "CAP_PERFMON"),
        // tracefs is root's; addresses in /proc/kallsyms are hidden.
        std::pair(CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"), std::pair(CAP_SYSLOG, "CAP_SYSLOG")})
    if (!has_capability(number)) lacking.append(lacking.empty() ? "" : ", ").append(name);
  if (lacking.empty()) return "this kernel is locked down, or a container's filter forbids it";
  return "this process lacks " + lacking +
         ": run it as root, with sudo; for an MCP client: sudo -n ebpf-ai-monitor mcp";
}

tl::unexpected<Error> explain(const std::string& what, int error) {
  std::string message = what + ": " + std::generic_category().message(error);
  if (!libbpf_says().empty()) message += " (" + libbpf_says() + ")";
  if (error == EPERM)  // EACCES is what the verifier says
    message += "; " + what_lacks();
  else if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    message =
        "the kernel has no type information (/sys/kernel/btf/vmlinux): boot one that is built with "
        "CONFIG_DEBUG_INFO_BTF=y";
  return fail(message);
}

template <typename Key, typename Value>
Status put(const bpf_map* map, const Key& key, const Value& value) {
  if (const int result =
          bpf_map__update_elem(map, &key, sizeof(key), &value, sizeof(value), BPF_ANY);
      result < 0)
    return fail_errno(std::string("BPF map '") + bpf_map__name(map) + "'", -result);
  return {};
}

// A value a CPU.
template <typename Value, typename Key>
std::vector<Value> get_per_cpu(const bpf_map* map, const Key& key) {
  std::vector<Value> values(static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  if (bpf_map__lookup_elem(map, &key, sizeof(key), values.data(), values.size() * sizeof(Value),
                           0) < 0)
    values.clear();
  return values;
}

template <typename Value>
Status zero(const bpf_map* map, uint32_t key) {
  const std::vector<Value> zeros(static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  if (bpf_map__update_elem(map, &key, sizeof(key), zeros.data(), zeros.size() * sizeof(Value),
                           BPF_ANY) < 0)
    return fail_errno(std::string("BPF map '") + bpf_map__name(map) + "'");
  return {};
}

template <typename Key, typename Function>
void for_each_key(const bpf_map* map, Function function) {
  Key key{};
  for (const Key* previous = nullptr; bpf_map__get_next_key(map, previous, &key, sizeof(key)) == 0;
       previous = &key)
    function(key);
}

template <typename Key>
void clear(const bpf_map* map) {
  std::vector<Key> keys;
  for_each_key<Key>(map, [&](const Key& key) { keys.push_back(key); });
  for (const Key& key : keys) bpf_map__delete_elem(map, &key, sizeof(key), 0);
}

uint64_t misses(const bpf_program* program) {
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0 ? info.recursion_misses
                                                                             : 0;
}

// trace_call_bpf() counts what it skips since Linux 6.7.
bool counts_misses() {
  utsname about{};
  uname(&about);
  return strverscmp(about.release, "6.7") >= 0;
}

// The kernel keeps track of so many calls of a function at a time, kernel/kprobes.c, and libbpf
// cannot ask for more; the return of any other is missed. Those that only sleep at the end are
// among the first.
void tell_missed_returns(ProbeResult& result, const diagnose_stats& sum,
                         std::vector<std::string>& notes) {
  if (sum.entries <= sum.returns) return;
  const uint64_t open = sum.entries - sum.returns;
  const auto tracked = static_cast<uint64_t>(std::max(10, 2 * libbpf_num_possible_cpus()));
  if (open <= tracked) {
    notes.push_back(std::to_string(open) +
                    " calls by anyone had not returned at the end, or their return was missed");
    return;
  }
  result.status = ProbeStatus::partial;
  result.error = (result.error ? *result.error + "; " : "") + "at least " +
                 std::to_string(open - tracked) +
                 " returns by anyone were missed: the kernel keeps track of " +
                 std::to_string(tracked) + " calls at a time, and more slept in the function";
}

// The number of a system call by the name of its tracepoint.
std::optional<unsigned> syscall_number(const std::string& name) {
  // Where the kernel's function is not called as the system call is.
  static const std::map<std::string, std::string> aliases = {
      {"newstat", "stat"},   {"newfstat", "fstat"}, {"newlstat", "lstat"},
      {"newuname", "uname"}, {"umount", "umount2"}, {"sendfile64", "sendfile"}};
  // Newer than a library may know; include/uapi/asm-generic/unistd.h: the same on every
  // architecture.
  static const std::vector<std::string> from_451 = {
      "cachestat",         "fchmodat2",         "map_shadow_stack", "futex_wake",
      "futex_wait",        "futex_requeue",     "statmount",        "listmount",
      "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal",
      "setxattrat",        "getxattrat",        "listxattrat",      "removexattrat",
      "open_tree_attr",    "file_getattr",      "file_setattr"};
  if (const auto found = std::ranges::find(from_451, name); found != from_451.end())
    return static_cast<unsigned>(451 + (found - from_451.begin()));
  const auto alias = aliases.find(name);
  const int number =
      seccomp_syscall_resolve_name(alias == aliases.end() ? name.c_str() : alias->second.c_str());
  if (number < 0 || number >= DIAGNOSE_SYSCALLS) return std::nullopt;
  return static_cast<unsigned>(number);
}

// An open directory of a cgroup v2.
Result<UniqueFd> open_cgroup(const std::string& path) {
  std::string full = path;
  if (!path.starts_with("/")) {
    const std::unique_ptr<FILE, int (*)(FILE*)> mounts(setmntent("/proc/self/mounts", "r"),
                                                       endmntent);
    const mntent* found = nullptr;
    while (mounts && (found = getmntent(mounts.get())) &&
           std::string_view(found->mnt_type) != "cgroup2") {
    }
    if (!mounts || !found) return fail("filter 'cgroup': no cgroup v2 is mounted");
    full = std::string(found->mnt_dir) + "/" + path;
  }
  UniqueFd fd(open(full.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statfs about {};
  if (!fd) return fail_errno("filter 'cgroup': " + full);
  if (fstatfs(fd.get(), &about) != 0 || about.f_type != CGROUP2_SUPER_MAGIC)
    return fail("filter 'cgroup': " + full + " is no cgroup of version 2");
  return fd;
}

// A thread's id would never match: the kernel filters by process.
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

// The kernel's reasons for refusing a probe of a function.
std::string attach_error(int error) {
  if (error == EPERM || error == EACCES) return "not permitted: " + what_lacks();
  if (error == EADDRNOTAVAIL) return "several functions have this name";
  if (error == EINVAL || error == EOPNOTSUPP || error == EILSEQ)
    return "the kernel allows no probe there (" + std::generic_category().message(error) + ")";
  if (error == ENOENT) return "the kernel has no such function";
  return std::generic_category().message(error);
}

}  // namespace

// One attached tracepoint or function: a number in the programs' maps.
struct Attachment {
  uint32_t number = 0;
  std::string event_type;
  std::unique_ptr<Decoder> decoder;
  std::vector<std::shared_ptr<bpf_link>> links;
  // Of a wildcard for system calls, by number: name and decoder.
  std::map<unsigned, std::pair<std::string, std::unique_ptr<Decoder>>> calls;
};

// By its tracepoint, or by its number where that is not known.
std::string call_name(const Attachment& attachment, unsigned id) {
  const auto call = attachment.calls.find(id);
  return call != attachment.calls.end() ? call->second.first
                                        : attachment.event_type + std::to_string(id);
}

struct Probe {
  ProbeRequest request;
  ProbeResult result;
  std::vector<Attachment> attachments;
  std::string hits;
  std::vector<std::string> notes;
  std::vector<std::vector<char>> kept;
  size_t kept_bytes = 0;
  uint64_t kept_every = 1;
  uint64_t no_room = 0;
  bool running = false;
  EventSourcePtr timer;
};

class Engine::Impl {
 public:
  explicit Impl(EventLoop& loop) : loop_(loop) {}

  Status load();
  void arm(std::vector<ProbeRequest> requests);
  void start(std::function<void()> on_done);
  void stop();
  std::vector<Progress> progress() const;
  std::vector<ProbeResult> results();

 private:
  Status arm(Probe& probe);
  Status arm_tracepoint(Probe& probe, const TargetName& target);
  Status arm_system_calls(Probe& probe, const TargetName& target,
                          const std::vector<TargetName>& found);
  Status arm_function(Probe& probe, const std::string& asked);
  Status attach_tracepoint(Probe& probe, const TargetName& tracepoint, const StandIn* stand_in);
  Status attach_tracepoint_program(Attachment& attachment, const bpf_program* program,
                                   const TargetName& tracepoint);
  // Takes a number for it, with the request's filters.
  Result<Attachment*> add(Probe& probe, diagnose_probe& entry);
  Status attach(Attachment& attachment, bpf_link* link, const std::string& what);
  Result<const KernelSymbols*> symbols();
  void take(const char* data, size_t size);
  void end(const std::vector<Probe*>& probes);
  void end_those_due();
  void report(Probe& probe);
  diagnose_stats totals(const Probe& probe) const;
  uint64_t program_misses() const;
  bool any_running() const;

  EventLoop& loop_;
  Owned<diagnose_bpf> skeleton_;
  Owned<ring_buffer> ring_;
  EventSourcePtr ring_ready_;
  EventSourcePtr drain_;
  EventSourcePtr done_;
  std::optional<KernelSymbols> symbols_;
  Owned<btf> types_;
  KernelTypes kernel_;
  std::vector<Probe> probes_;
  std::vector<size_t> probe_of_;  // by number
  struct SharedTracepoint {
    std::weak_ptr<bpf_link> link;
    uint32_t last;  // number of the last probe on it
  };
  std::map<std::string, SharedTracepoint> tracepoints_;  // of this run
  std::function<void()> on_done_;
  Nanoseconds started_{};
  int64_t started_unix_ns_ = 0;
  uint64_t misses_before_ = 0;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::load(EventLoop& loop) {
  auto impl = std::make_unique<Impl>(loop);
  if (auto status = impl->load(); !status) return tl::make_unexpected(status.error());
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

void Engine::arm(std::vector<ProbeRequest> requests) { impl_->arm(std::move(requests)); }
void Engine::start(std::function<void()> on_done) { impl_->start(std::move(on_done)); }
void Engine::stop() { impl_->stop(); }
std::vector<Engine::Progress> Engine::progress() const { return impl_->progress(); }
std::vector<ProbeResult> Engine::results() { return impl_->results(); }

Status Engine::Impl::load() {
  libbpf_set_print(print_libbpf);
  libbpf_says().clear();
  skeleton_.reset(diagnose_bpf__open());
  if (!skeleton_) return explain("cannot open the probe programs", errno);
  skeleton_->rodata->own_pid = static_cast<uint32_t>(getpid());
  if (const int error = diagnose_bpf__load(skeleton_.get()); error != 0)
    return explain("cannot load the probe programs", -error);
  const auto on_event = [](void* self, void* data, size_t size) {
    static_cast<Impl*>(self)->take(static_cast<const char*>(data), size);
    return 0;
  };
  ring_.reset(ring_buffer__new(bpf_map__fd(skeleton_->maps.events), on_event, this, nullptr));
  if (!ring_) return explain("cannot map the ring buffer", errno);
  ring_ready_ = loop_.add_io(ring_buffer__epoll_fd(ring_.get()), EPOLLIN,
                             [this](uint32_t) { ring_buffer__consume(ring_.get()); });
  drain_ = loop_.add_timer([this] {
    ring_buffer__consume(ring_.get());
    if (any_running()) drain_->arm(monotonic_now() + drain_interval);
  });
  done_ = loop_.add_timer([this] {
    if (on_done_) std::exchange(on_done_, nullptr)();
  });
  const TargetName describes_flags{.category = "kmem", .name = "mm_page_alloc"};
  if (const auto format = read_format(describes_flags))
    kernel_.allocation_flags = tracepoint_field_names("kmem", *format, "gfp_flags");
  return {};
}

Result<const KernelSymbols*> Engine::Impl::symbols() {
  if (!symbols_) {
    auto read = KernelSymbols::read();
    if (!read) return tl::make_unexpected(read.error());
    symbols_ = std::move(*read);
    kernel_.symbols = &*symbols_;
  }
  return &*symbols_;
}

void Engine::Impl::arm(std::vector<ProbeRequest> requests) {
  stop();
  probes_.clear();
  probe_of_.clear();
  tracepoints_.clear();
  clear<diagnose_count_key>(skeleton_->maps.counts);
  clear<uint64_t>(skeleton_->maps.calls);
  probes_.reserve(requests.size());
  for (ProbeRequest& request : requests) {
    Probe& probe = probes_.emplace_back();
    probe.request = std::move(request);
    probe.result.program_name = probe.request.name;
    probe.result.type = probe.request.type;
    probe.result.target = probe.request.target;
    if (auto status = arm(probe); !status) {
      probe.attachments.clear();
      probe.result.status = ProbeStatus::failed;
      probe.result.error = status.error().message;
    }
  }
}

Status Engine::Impl::arm(Probe& probe) {
  const ProbeRequest& request = probe.request;
  if (request.duration < probe_duration_min || request.duration > probe_duration_max)
    return fail("duration: 1 to 300 seconds");
  if (request.filters.comm &&
      (request.filters.comm->empty() || request.filters.comm->size() >= DIAGNOSE_COMM_LEN))
    return fail("filter 'comm': a name has 1 to 15 bytes");
  if (request.filters.pid)
    if (auto status = check_pid(*request.filters.pid); !status) return status;
  const auto target = parse_target(request.type, request.target);
  if (!target) return tl::make_unexpected(target.error());
  // For addresses in the arguments too.
  if (auto found = symbols(); !found && request.type != ProbeType::tracepoint)
    return tl::make_unexpected(found.error());
  return request.type == ProbeType::tracepoint ? arm_tracepoint(probe, *target)
                                               : arm_function(probe, target->name);
}

Status Engine::Impl::arm_tracepoint(Probe& probe, const TargetName& target) {
  const auto found = find_tracepoints(target);
  if (!found) return tl::make_unexpected(found.error());
  if (found->empty()) return fail("this kernel has no tracepoint " + probe.request.target);
  if (is_pattern(target.name) && found->front().category == "syscalls" &&
      found->back().category == "syscalls" && found->size() > 1)
    return arm_system_calls(probe, target, *found);
  if (!is_pattern(target.name) && found->size() > 1)
    return fail("several tracepoints have the name " + target.name + ": say " +
                found->front().category + "/" + target.name + " or " + found->back().category +
                "/" + target.name);
  if (probe_of_.size() + found->size() > probes_max)
    return fail(std::to_string(found->size()) + " tracepoints match " + probe.request.target +
                ", and " + std::to_string(probes_max - probe_of_.size()) + " of " +
                std::to_string(probes_max) + " places are left");
  for (const TargetName& tracepoint : *found)
    if (auto status = attach_tracepoint(probe, tracepoint, nullptr); !status) return status;
  probe.hits = found->size() == 1 ? what_is_counted(ProbeType::tracepoint, found->front().name)
                                  : "hits of " + std::to_string(found->size()) + " tracepoints";
  probe.result.attached_to =
      "tracepoint:" + (found->size() == 1 ? found->front().category + "/" + found->front().name
                                          : found->front().category + "/" + target.name + " (" +
                                                std::to_string(found->size()) + " tracepoints)");
  if (found->front().category == "irq")
    probe.notes.emplace_back("the process is the one that was interrupted");
  return {};
}

Status Engine::Impl::attach_tracepoint(Probe& probe, const TargetName& tracepoint,
                                       const StandIn* stand_in) {
  const auto format = read_format(tracepoint);
  if (!format) return tl::make_unexpected(format.error());
  auto decoder = tracepoint_decoder(tracepoint.category, *format, kernel_);
  if (!decoder) return tl::make_unexpected(decoder.error());
  diagnose_probe entry{};
  diagnose_layout layout{};
  (*decoder)->describe(entry, layout);
  if (stand_in && !stand_in->field.empty()) {
    const auto place = tracepoint_field_offset(tracepoint.category, *format, stand_in->field);
    if (!place) return fail("tracepoint " + tracepoint.name + " has no field " + stand_in->field);
    entry.use_match = 1;
    entry.match_offset = *place;
    entry.match_value = stand_in->value;
  }
  auto attachment = add(probe, entry);
  if (!attachment) return tl::make_unexpected(attachment.error());
  (*attachment)->event_type = tracepoint.name;
  (*attachment)->decoder = std::move(*decoder);
  if (auto status = put(skeleton_->maps.layouts, (*attachment)->number, layout); !status)
    return status;
  return attach_tracepoint_program(**attachment, skeleton_->progs.on_tracepoint, tracepoint);
}

// A second probe on it joins the chain of the first; where all on it have failed, there is none.
Status Engine::Impl::attach_tracepoint_program(Attachment& attachment, const bpf_program* program,
                                               const TargetName& tracepoint) {
  const std::string key =
      std::string(bpf_program__name(program)) + ":" + tracepoint.category + "/" + tracepoint.name;
  const auto shared = tracepoints_.find(key);
  auto link_of_first = shared == tracepoints_.end() ? nullptr : shared->second.link.lock();
  if (link_of_first) {
    attachment.links.push_back(std::move(link_of_first));
    diagnose_probe last{};
    const uint32_t number = std::exchange(shared->second.last, attachment.number);
    if (bpf_map__lookup_elem(skeleton_->maps.probes, &number, sizeof(number), &last, sizeof(last),
                             0) < 0)
      return fail_errno("BPF map 'probes'");
    last.next = attachment.number + 1;
    return put(skeleton_->maps.probes, number, last);
  }
  LIBBPF_OPTS(bpf_tracepoint_opts, options, .bpf_cookie = attachment.number);
  libbpf_says().clear();
  bpf_link* link = bpf_program__attach_tracepoint_opts(program, tracepoint.category.c_str(),
                                                       tracepoint.name.c_str(), &options);
  if (auto status =
          attach(attachment, link, "tracepoint " + tracepoint.category + "/" + tracepoint.name);
      !status)
    return status;
  tracepoints_[key] = {.link = attachment.links.back(), .last = attachment.number};
  return {};
}

Status Engine::Impl::arm_system_calls(Probe& probe, const TargetName& target,
                                      const std::vector<TargetName>& found) {
  // Their program has the places of the fields built in.
  const auto raw = read_format({.category = "raw_syscalls", .name = "sys_enter"});
  if (!raw || tracepoint_field_offset("raw_syscalls", *raw, "id") != 8U ||
      tracepoint_field_offset("raw_syscalls", *raw, "args") != 16U)
    return fail(
        "this kernel's raw_syscalls/sys_enter has another form (PREEMPT_RT): ask for single system "
        "calls");
  std::vector<std::string> unknown;
  size_t total = 0;
  for (const std::string side : {"sys_enter_", "sys_exit_"}) {
    diagnose_probe entry{};
    std::map<unsigned, std::pair<std::string, std::unique_ptr<Decoder>>> calls;
    for (const TargetName& tracepoint : found) {
      if (!tracepoint.name.starts_with(side)) continue;
      const auto number = syscall_number(tracepoint.name.substr(side.size()));
      if (!number) {
        unknown.push_back(tracepoint.name);
        continue;
      }
      const auto format = read_format(tracepoint);
      if (!format) return tl::make_unexpected(format.error());
      auto decoder = tracepoint_decoder(tracepoint.category, *format, kernel_);
      if (!decoder) return tl::make_unexpected(decoder.error());
      diagnose_layout layout{};
      diagnose_probe unused{};
      (*decoder)->describe(unused, layout);
      if (side == "sys_enter_")
        if (auto status = put(skeleton_->maps.layouts, DIAGNOSE_PROBES + *number, layout); !status)
          return status;
      entry.syscalls[*number / 64] |= 1ULL << (*number % 64);
      calls[*number] = {tracepoint.name, std::move(*decoder)};
    }
    if (calls.empty()) continue;
    total += calls.size();
    if (matches(target.name, side)) {  // all of them: those without a number here as well
      std::ranges::fill(entry.syscalls, ~uint64_t{0});
      unknown.clear();
    }
    auto attachment = add(probe, entry);
    if (!attachment) return tl::make_unexpected(attachment.error());
    (*attachment)->event_type = side;
    (*attachment)->calls = std::move(calls);
    const bool enter = side == "sys_enter_";
    const bpf_program* program =
        enter ? skeleton_->progs.on_syscall_enter : skeleton_->progs.on_syscall_exit;
    if (auto status = attach_tracepoint_program(**attachment, program,
                                                {"raw_syscalls", enter ? "sys_enter" : "sys_exit"});
        !status)
      return status;
  }
  if (probe.attachments.empty())
    return fail("the numbers of the system calls that match " + probe.request.target +
                " are not known: ask for single ones, as syscalls/" + unknown.front());
  probe.hits = "hits of " + target.name;
  probe.result.attached_to = std::string("tracepoint:raw_syscalls/") +
                             (probe.attachments.size() == 2                          ? "*"
                              : probe.attachments.front().event_type == "sys_enter_" ? "sys_enter"
                                                                                     : "sys_exit") +
                             " (" + std::to_string(total) + " system calls)";
  if (!unknown.empty()) {
    std::string names;
    for (const std::string& name : unknown) names += (names.empty() ? "" : ", ") + name;
    probe.notes.push_back("the numbers of these are not known: " + names);
  }
  return {};
}

Status Engine::Impl::arm_function(Probe& probe, const std::string& asked) {
  const bool returns = probe.request.type == ProbeType::kretprobe;
  const std::string kind(to_string(probe.request.type));
  const std::string function = current_name(*symbols_, asked);
  if (!has_kprobes()) {
    const auto instead = returns ? std::nullopt : stand_in(asked);
    if (!instead)
      return fail(
          "this kernel has no kprobes (CONFIG_KPROBES), and no tracepoint means the same as " +
          kind + ":" + asked);
    const std::string name = instead->tracepoint.category + "/" + instead->tracepoint.name;
    if (auto status = attach_tracepoint(probe, instead->tracepoint, &*instead); !status)
      return status;
    probe.result.attached_to = "tracepoint:" + name;
    probe.hits = what_is_counted(probe.request.type, asked);
    probe.notes.push_back(
        "this kernel has no kprobes: the tracepoint " + name +
        (instead->field.empty()
             ? ""
             : " (" + instead->field + " " + std::to_string(instead->value) + ")") +
        " stands in for " + asked + (instead->differs.empty() ? "" : "; " + instead->differs));
    return {};
  }
  if (function.empty())
    return fail("this kernel has no function " + asked + " (it may be inlined)");
  if (symbols_->count(function) > 1)
    return fail("this kernel has " + std::to_string(symbols_->count(function)) +
                " functions called " + function);
  if (!types_) {
    types_.reset(btf__load_vmlinux_btf());
    kernel_.types = types_.get();
  }
  auto decoder = function_decoder(function, returns, kernel_);
  if (!decoder) return tl::make_unexpected(decoder.error());
  diagnose_probe entry{};
  diagnose_layout layout{};
  (*decoder)->describe(entry, layout);
  auto attachment = add(probe, entry);
  if (!attachment) return tl::make_unexpected(attachment.error());
  (*attachment)->event_type = function;
  (*attachment)->decoder = std::move(*decoder);
  if (auto status = put(skeleton_->maps.layouts, (*attachment)->number, layout); !status)
    return status;
  LIBBPF_OPTS(bpf_kprobe_opts, options, .bpf_cookie = (*attachment)->number);
  libbpf_says().clear();
  const bpf_program* program =
      returns ? skeleton_->progs.on_function_entry : skeleton_->progs.on_function;
  if (auto status =
          attach(**attachment, bpf_program__attach_kprobe_opts(program, function.c_str(), &options),
                 kind + ":" + function);
      !status)
    return status;
  if (returns) {
    options.retprobe = true;
    if (auto status = attach(**attachment,
                             bpf_program__attach_kprobe_opts(skeleton_->progs.on_function_return,
                                                             function.c_str(), &options),
                             kind + ":" + function);
        !status)
      return status;
  }
  probe.result.attached_to = kind + ":" + function;
  probe.hits = what_is_counted(probe.request.type, function);
  if (function != asked) probe.notes.push_back(asked + " is " + function + " in this kernel");
  return {};
}

Result<Attachment*> Engine::Impl::add(Probe& probe, diagnose_probe& entry) {
  if (probe_of_.size() == probes_max)
    return fail("all " + std::to_string(probes_max) + " places for probes are taken");
  const auto number = static_cast<uint32_t>(probe_of_.size());
  const ProbeFilters& filters = probe.request.filters;
  entry.every = 1;
  entry.use_pid = filters.pid.has_value();
  entry.pid = static_cast<uint32_t>(filters.pid.value_or(0));
  entry.use_uid = filters.uid.has_value();
  entry.uid = filters.uid.value_or(0);
  entry.use_comm = filters.comm.has_value();
  if (filters.comm) filters.comm->copy(entry.comm, sizeof(entry.comm) - 1);
  entry.use_cgroup = filters.cgroup.has_value();
  if (filters.cgroup) {
    const auto group = open_cgroup(*filters.cgroup);
    if (!group) return tl::make_unexpected(group.error());
    if (auto status = put(skeleton_->maps.cgroups, number, static_cast<uint32_t>(group->get()));
        !status)
      return tl::make_unexpected(status.error());
  }
  if (auto status = put(skeleton_->maps.probes, number, entry); !status)
    return tl::make_unexpected(status.error());
  for (auto status : {zero<diagnose_stats>(skeleton_->maps.stats, number),
                      zero<diagnose_syscall_counts>(skeleton_->maps.syscall_counts, number)})
    if (!status) return tl::make_unexpected(status.error());
  probe_of_.push_back(static_cast<size_t>(&probe - probes_.data()));
  probe.attachments.emplace_back().number = number;
  return &probe.attachments.back();
}

Status Engine::Impl::attach(Attachment& attachment, bpf_link* link, const std::string& what) {
  if (!link) return fail(what + ": " + attach_error(errno));
  attachment.links.emplace_back(link, bpf_link__destroy);
  return {};
}

uint64_t Engine::Impl::program_misses() const {
  uint64_t sum = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) sum += misses(program);
  return sum;
}

void Engine::Impl::start(std::function<void()> on_done) {
  on_done_ = std::move(on_done);
  misses_before_ = program_misses();
  uint32_t mask = 0;
  started_ = monotonic_now();
  started_unix_ns_ =
      std::chrono::duration_cast<Nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  for (Probe& probe : probes_) {
    probe.result.started = started_unix_ns_ / 1'000'000'000;
    if (probe.result.status == ProbeStatus::failed) continue;
    probe.running = true;
    for (const Attachment& attachment : probe.attachments) mask |= 1U << attachment.number;
    probe.timer = loop_.add_timer([this] { end_those_due(); });
    probe.timer->arm(started_ + probe.request.duration);
  }
  __atomic_store_n(&skeleton_->bss->running, mask, __ATOMIC_RELEASE);
  if (any_running())
    drain_->arm(started_ + drain_interval);
  else
    done_->arm(monotonic_now());
}

void Engine::Impl::stop() {
  std::vector<Probe*> running;
  for (Probe& probe : probes_) {
    if (!probe.running) continue;
    running.push_back(&probe);
    probe.result.status = ProbeStatus::partial;
    probe.result.error =
        "stopped before its " + std::to_string(probe.request.duration.count()) + " s were over";
  }
  end(running);
}

// Together: each takes a grace period of the kernel.
void Engine::Impl::end_those_due() {
  const Nanoseconds now = monotonic_now();
  std::vector<Probe*> due;
  for (Probe& probe : probes_)
    if (probe.running && started_ + probe.request.duration <= now) due.push_back(&probe);
  end(due);
}

bool Engine::Impl::any_running() const { return std::ranges::any_of(probes_, &Probe::running); }

void Engine::Impl::end(const std::vector<Probe*>& probes) {
  if (probes.empty()) return;
  uint32_t mask = 0;
  for (const Probe* probe : probes)
    for (const Attachment& attachment : probe->attachments) mask |= 1U << attachment.number;
  const Nanoseconds ended = monotonic_now();
  __atomic_fetch_and(&skeleton_->bss->running, ~mask, __ATOMIC_RELEASE);
  // Waits until no CPU runs a program for these probes any more: what is read then is final.
  syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
  ring_buffer__consume(ring_.get());
  for (Probe* probe : probes) {
    probe->running = false;
    probe->timer.reset();
    probe->result.duration_s = std::chrono::duration<double>(ended - started_).count();
    report(*probe);
    for (Attachment& attachment : probe->attachments) attachment.links.clear();
  }
  if (!any_running()) done_->arm(monotonic_now());
}

void Engine::Impl::take(const char* data, size_t size) {
  diagnose_event header{};
  if (size < sizeof(header)) return;
  std::memcpy(&header, data, sizeof(header));
  if (header.probe >= probe_of_.size()) return;
  Probe& probe = probes_[probe_of_[header.probe]];
  if (!probe.running || (header.sequence & (probe.kept_every - 1)) != 0) return;
  probe.kept.emplace_back(data, data + size);
  probe.kept_bytes += size;
  while (probe.kept.size() > kept_max || probe.kept_bytes > kept_bytes_max) {
    const auto goes = [&](const std::vector<char>& bytes) {
      diagnose_event kept{};
      std::memcpy(&kept, bytes.data(), sizeof(kept));
      if ((kept.sequence & (2 * probe.kept_every - 1)) == 0) return false;
      probe.kept_bytes -= bytes.size();
      return true;
    };
    if (std::erase_if(probe.kept, goes) > 0) {
      probe.kept_every *= 2;
      continue;
    }
    // The first hits of many CPUs and tracepoints are a sample of no rate.
    probe.kept_bytes -= size;
    probe.kept.pop_back();
    ++probe.no_room;
  }
}

diagnose_stats Engine::Impl::totals(const Probe& probe) const {
  diagnose_stats sum{};
  for (const Attachment& attachment : probe.attachments) {
    for (const auto& cpu : get_per_cpu<diagnose_stats>(skeleton_->maps.stats, attachment.number)) {
      sum.hits += cpu.hits;
      sum.filtered += cpu.filtered;
      sum.own += cpu.own;
      sum.dropped += cpu.dropped;
      sum.uncounted += cpu.uncounted;
      sum.entries += cpu.entries;
      sum.returns += cpu.returns;
      sum.latency_max_ns = std::max(sum.latency_max_ns, cpu.latency_max_ns);
    }
  }
  return sum;
}

void Engine::Impl::report(Probe& probe) {
  const diagnose_stats sum = totals(probe);
  probe.result.event_count = sum.hits;
  probe.result.filtered = sum.filtered + sum.own;
  probe.result.dropped = sum.dropped + probe.no_room;

  ProbeReport report;
  report.hits = probe.hits;
  report.notes = probe.notes;
  report.every = probe.kept_every;
  report.latency_max_ns = sum.latency_max_ns;
  report.bytes_max = answer_bytes / std::max<size_t>(probes_.size(), 1);
  std::map<unsigned, const Attachment*> by_number;
  for (const Attachment& attachment : probe.attachments) {
    by_number[attachment.number] = &attachment;
    diagnose_probe entry{};
    if (bpf_map__lookup_elem(skeleton_->maps.probes, &attachment.number, sizeof(attachment.number),
                             &entry, sizeof(entry), 0) == 0)
      report.every = std::max<uint64_t>(report.every, entry.every);
  }
  for (const auto& bytes : probe.kept) {
    const auto raw = RawEvent::parse(bytes);
    if (!raw || (raw->header.sequence & (report.every - 1)) != 0) continue;
    const Attachment& attachment = *by_number.at(raw->header.probe);
    ProbeEvent event{.timestamp = started_unix_ns_ + static_cast<int64_t>(raw->header.time_ns) -
                                  started_.count(),
                     .process_id = static_cast<pid_t>(raw->header.pid),
                     .thread_id = static_cast<pid_t>(raw->header.tid),
                     .user_id = raw->header.uid,
                     .process_name = show_text(raw->header.comm),
                     .event_type = attachment.event_type,
                     .data = nlohmann::json::object()};
    const Decoder* decoder = attachment.decoder.get();
    if (!decoder) {
      const auto call = attachment.calls.find(raw->header.syscall);
      if (call != attachment.calls.end()) {
        event.event_type = call->second.first;
        decoder = call->second.second.get();
      } else {
        event.event_type = call_name(attachment, raw->header.syscall);
      }
    }
    if (decoder) event.data = decoder->decode(*raw);
    report.events.push_back({.sequence = raw->header.sequence, .event = std::move(event)});
  }
  probe.kept.clear();
  std::ranges::stable_sort(report.events, {},
                           [](const SampledEvent& event) { return event.event.timestamp; });

  std::map<uint32_t, ProcessCount> processes;
  for_each_key<diagnose_count_key>(skeleton_->maps.counts, [&](const diagnose_count_key& key) {
    if (!by_number.contains(key.probe)) return;
    ProcessCount& process = processes[key.pid];
    process.process_id = static_cast<pid_t>(key.pid);
    uint64_t most = 0;  // the name of where it was most: it may have executed another program
    for (const auto& cpu : get_per_cpu<diagnose_count>(skeleton_->maps.counts, key)) {
      process.count += cpu.count;
      if (cpu.count > most) process.process_name = show_text(cpu.comm);
      most = std::max<uint64_t>(most, cpu.count);
    }
  });
  std::map<std::string, uint64_t> calls;
  for (const Attachment& attachment : probe.attachments) {
    if (attachment.calls.empty()) continue;
    for (const auto& cpu :
         get_per_cpu<diagnose_syscall_counts>(skeleton_->maps.syscall_counts, attachment.number)) {
      for (unsigned id = 0; id < DIAGNOSE_SYSCALLS; ++id)
        if (cpu.counts[id] > 0) calls[call_name(attachment, id)] += cpu.counts[id];
    }
  }
  for (auto& [pid, process] : processes) report.processes.push_back(std::move(process));
  for (auto& [name, count] : calls) report.calls.push_back({.name = name, .count = count});

  if (sum.own > 0)
    report.notes.push_back(std::to_string(sum.own) +
                           " were of this tracer itself and are left out");
  if (sum.uncounted > 0)
    report.notes.push_back(std::to_string(sum.uncounted) +
                           " are missing in the counts by process, of which there were too many");
  tell_missed_returns(probe.result, sum, report.notes);
  if (!counts_misses())
    report.notes.emplace_back(
        "hits that come in an interrupt while a probe runs on the same CPU are skipped, and not "
        "countable on this kernel");
  else if (const uint64_t missed = program_misses() - misses_before_; missed > 0)
    report.notes.push_back("the kernel skipped " + std::to_string(missed) +
                           " hits of all probes, which came while one ran on the same CPU");
  complete(probe.result, std::move(report));
}

std::vector<Engine::Progress> Engine::Impl::progress() const {
  std::vector<Progress> list;
  for (const Probe& probe : probes_) {
    Progress progress{
        .name = probe.request.name,
        .event_count = probe.running ? totals(probe).hits : probe.result.event_count,
        .elapsed_s = probe.running
                         ? std::chrono::duration<double>(monotonic_now() - started_).count()
                         : probe.result.duration_s,
        .duration_s = static_cast<double>(probe.request.duration.count()),
        .running = probe.running,
        .failed = probe.result.status == ProbeStatus::failed};
    list.push_back(std::move(progress));
  }
  return list;
}

std::vector<ProbeResult> Engine::Impl::results() {
  std::vector<ProbeResult> results;
  if (any_running()) return results;
  for (Probe& probe : probes_) {
    if (probe.result.status == ProbeStatus::failed) {
      probe.result.aggregates = {{"by_process", nlohmann::json::array()},
                                 {"by_data", nlohmann::json::array()},
                                 {"latency_us", nlohmann::json::object()}};
      probe.result.summary = "Nothing was traced: " + probe.result.error.value_or("") + ".";
    }
    results.push_back(std::move(probe.result));
  }
  probes_.clear();
  probe_of_.clear();
  return results;
}

}  // namespace ebpf_ai_monitor
