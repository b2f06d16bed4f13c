#include "diagnose/engine.h"

#include <bpf/libbpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <set>

#include "diagnose.skel.h"
#include "diagnose/attach.h"
#include "diagnose/counts.h"
#include "diagnose/filters.h"
#include "diagnose/open_call.h"
#include "diagnose/permission.h"
#include "diagnose/results.h"
#include "diagnose/sample.h"
#include "diagnose/system_call_numbers.h"

namespace ebpf_ai_monitor {
namespace engine {

struct FreePrograms {
  void operator()(diagnose_bpf* programs) const { diagnose_bpf__destroy(programs); }
};
using Programs = std::unique_ptr<diagnose_bpf, FreePrograms>;

struct Probe {
  ProbeRequest request;
  ProbeResult result;
  Attached attached;
  EventSample sample;
  std::vector<CallInProgress> before;  // system calls that had begun before the probe
  bool running = false;
  EventSourcePtr timer;
};

}  // namespace engine
namespace {

using engine::Probe;
using engine::Programs;

// How often the ring buffer is emptied; it is also emptied when it is half full.
constexpr Nanoseconds drain_interval = std::chrono::milliseconds(100);
// The size of the events of all probes in an answer, as JSON.
constexpr size_t answer_bytes = size_t{160} * 1024;

tl::unexpected<Error> explain(const std::string& what, int error) {
  if (error == EPERM)  // EACCES comes from the verifier
    return fail(libbpf_failure(what, error) + "; " + missing_permission());
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    return fail(
        "the kernel has no type information (/sys/kernel/btf/vmlinux): boot one that is built with "
        "CONFIG_DEBUG_INFO_BTF=y");
  return fail(libbpf_failure(what, error));
}

// One entry for each system call of 32-bit programs.
std::array<uint16_t, DIAGNOSE_SYSCALLS> make_twins() {
  std::array<uint16_t, DIAGNOSE_SYSCALLS> twins{};
  for (unsigned number = 0; number < twins.size(); ++number)
    twins.at(number) = static_cast<uint16_t>(twin_of_32_bit(number).value_or(DIAGNOSE_SYSCALLS));
  return twins;
}

// The kernel takes a tenth of a second to check a program, so load no more than are needed.
Result<Programs> load_programs(const NeededPrograms& needed) {
  listen_to_libbpf();
  Programs programs(diagnose_bpf__open());
  if (!programs) return explain("cannot open the probe programs", errno);
  programs->rodata->own_pid = static_cast<uint32_t>(getpid());
  programs->rodata->use_matches = needed.matches ? 1 : 0;
  if (needed.system_calls) {
    static const auto twins = make_twins();
    std::ranges::copy(twins, programs->rodata->twins);
  }
  const auto& all = programs->progs;
  for (const auto& [program, wanted] : {std::pair{all.on_tracepoint, needed.tracepoints},
                                        {all.on_syscall_enter, needed.system_calls},
                                        {all.on_syscall_exit, needed.system_calls},
                                        {all.on_function, needed.functions},
                                        {all.on_function_entry, needed.returns},
                                        {all.on_function_return, needed.returns}})
    bpf_program__set_autoload(program, wanted);
  if (const int error = diagnose_bpf__load(programs.get()); error != 0)
    return explain("cannot load the probe programs", -error);
  return programs;
}

int64_t unix_now_ns() {
  return std::chrono::duration_cast<Nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double seconds_of(Nanoseconds time) { return std::chrono::duration<double>(time).count(); }

// Whether a call that has not returned passes those filters that can be checked by then. The kernel
// has already checked a system call's process. A call of a function is stored for every caller, and
// what its arguments point to cannot be read any more. The result is not known yet: often, what
// hangs is what will fail in the end.
bool passes(const ProbeFilters& filters, const diagnose_open_call& call, uint32_t thread,
            uint64_t for_us, bool system_call) {
  if (for_us < filters.latency_min_us.value_or(0) ||
      for_us > filters.latency_max_us.value_or(UINT64_MAX))
    return false;
  return system_call || ((!filters.pid || static_cast<uint32_t>(*filters.pid) == call.pid) &&
                         (!filters.tid || static_cast<uint32_t>(*filters.tid) == thread) &&
                         (!filters.comm || *filters.comm == show_text(call.comm)) && !filters.uid &&
                         !filters.ppid && !has_cgroup(filters) && filters.arguments.empty());
}

// The bits of a probe's attachments in `running` of the programs.
uint32_t mask_of(const Probe& probe) {
  uint32_t mask = 0;
  for (const Attachment& attachment : probe.attached.attachments) mask |= 1U << attachment.number;
  return mask;
}

}  // namespace

class Engine::Impl {
 public:
  Impl(EventLoop& loop, Programs programs);

  Status open_ring();
  void attach(std::vector<PlannedProbe> probes);
  void start(std::function<void()> on_done);
  void stop();
  std::vector<ProbeProgress> progress() const;
  std::vector<ProbeResult> results();

 private:
  void take(Bytes event);
  void end(const std::vector<Probe*>& probes);
  void end_those_due();
  void conclude(Probe& probe);
  std::vector<SampledEvent> decode(Probe& probe, uint64_t every) const;
  Unfinished unfinished(const Probe& probe) const;
  bool any_running() const;

  EventLoop& loop_;
  Programs programs_;
  Attacher attacher_;
  BpfOwned<ring_buffer> ring_;
  EventSourcePtr ring_ready_;
  EventSourcePtr drain_;
  EventSourcePtr done_;
  std::vector<Probe> probes_;
  std::array<Probe*, probes_max> probe_of_{};  // by number
  std::function<void()> on_done_;
  Nanoseconds started_{};
  int64_t started_unix_ns_ = 0;
  std::optional<uint64_t> skipped_before_;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::arm(EventLoop& loop, std::vector<ProbeRequest> requests) {
  std::vector<PlannedProbe> probes;
  probes.reserve(requests.size());
  for (ProbeRequest& request : requests) probes.emplace_back(std::move(request));
  auto programs = load_programs(needed_programs(probes));
  if (!programs) return tl::make_unexpected(programs.error());
  auto impl = std::make_unique<Impl>(loop, std::move(*programs));
  if (auto status = impl->open_ring(); !status) return tl::make_unexpected(status.error());
  impl->attach(std::move(probes));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

void Engine::start(std::function<void()> on_done) { impl_->start(std::move(on_done)); }
void Engine::stop() { impl_->stop(); }
std::vector<ProbeProgress> Engine::progress() const { return impl_->progress(); }
std::vector<ProbeResult> Engine::results() { return impl_->results(); }

Engine::Impl::Impl(EventLoop& loop, Programs programs)
    : loop_(loop), programs_(std::move(programs)), attacher_(*programs_) {}

Status Engine::Impl::open_ring() {
  const auto on_event = [](void* self, void* data, size_t size) {
    static_cast<Impl*>(self)->take({static_cast<const char*>(data), size});
    return 0;
  };
  ring_.reset(ring_buffer__new(bpf_map__fd(programs_->maps.events), on_event, this, nullptr));
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
  return {};
}

void Engine::Impl::attach(std::vector<PlannedProbe> probes) {
  probes_.reserve(probes.size());
  for (PlannedProbe& planned : probes) {
    auto attached = attacher_.attach(planned);
    Probe& probe = probes_.emplace_back();
    probe.request = std::move(planned.request);
    probe.result.program_name = probe.request.name;
    probe.result.type = probe.request.type;
    probe.result.target = probe.request.target;
    if (!attached) {
      probe.result.status = ProbeStatus::failed;
      probe.result.error = attached.error().message;
      continue;
    }
    probe.attached = std::move(*attached);
    probe.result.attached_to = probe.attached.attached_to;
    for (const Attachment& attachment : probe.attached.attachments)
      probe_of_.at(attachment.number) = &probe;
  }
}

void Engine::Impl::start(std::function<void()> on_done) {
  on_done_ = std::move(on_done);
  skipped_before_ = read_skipped(*programs_);
  uint32_t mask = 0;
  started_ = monotonic_now();
  started_unix_ns_ = unix_now_ns();
  for (Probe& probe : probes_) {
    probe.result.started = started_unix_ns_ / 1'000'000'000;
    if (probe.result.status == ProbeStatus::failed) continue;
    probe.running = true;
    mask |= mask_of(probe);
    if (probe.attached.attachments.front().joined)
      probe.before = calls_in_progress(probe.request.filters);
    probe.timer = loop_.add_timer([this] { end_those_due(); });
    probe.timer->arm(started_ + probe.request.duration);
  }
  __atomic_store_n(&programs_->bss->running, mask, __ATOMIC_RELEASE);
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

// Together, because each detachment takes a grace period of the kernel.
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
  for (const Probe* probe : probes) mask |= mask_of(*probe);
  const Nanoseconds ended = monotonic_now();
  __atomic_fetch_and(&programs_->bss->running, ~mask, __ATOMIC_RELEASE);
  // Waits until no CPU runs a program for these probes any more: what is read after that is final.
  syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
  ring_buffer__consume(ring_.get());
  for (Probe* probe : probes) {
    probe->running = false;
    probe->timer.reset();
    probe->result.duration_s = seconds_of(ended - started_);
    conclude(*probe);
    for (Attachment& attachment : probe->attached.attachments) attachment.links.clear();
  }
  if (!any_running()) done_->arm(monotonic_now());
}

void Engine::Impl::take(Bytes event) {
  diagnose_event header{};
  if (event.size() < sizeof(header)) return;
  std::memcpy(&header, event.data(), sizeof(header));
  Probe* probe = header.probe < probe_of_.size() ? probe_of_[header.probe] : nullptr;
  if (probe && probe->running) probe->sample.add(header.sequence, header.reasons, event);
}

void Engine::Impl::conclude(Probe& probe) {
  const auto& attachments = probe.attached.attachments;
  const auto skipped = read_skipped(*programs_);
  const uint64_t every = std::max(probe.sample.every(), read_every(*programs_, attachments));
  complete(probe.result, {.stats = read_stats(*programs_, attachments),
                          .events = decode(probe, every),
                          .every = every,
                          .no_room = probe.sample.no_room(),
                          .counts = read_counts(*programs_, attachments),
                          .shape = read_shape(*programs_, attachments),
                          .unfinished = unfinished(probe),
                          .skipped = skipped ? std::optional(*skipped - skipped_before_.value_or(0))
                                             : std::nullopt,
                          .cpus = possible_cpus(),
                          .counted = probe.attached.counted,
                          .notes = probe.attached.notes,
                          .bytes_max = answer_bytes / std::max<size_t>(probes_.size(), 1)});
}

// The stored events, in order of time.
std::vector<SampledEvent> Engine::Impl::decode(Probe& probe, uint64_t every) const {
  std::vector<SampledEvent> events;
  for (const auto& bytes : probe.sample.take()) {
    const auto raw = RawEvent::parse(bytes);
    if (!raw) continue;
    const bool sampled =
        (raw->header.reasons & DIAGNOSE_SAMPLED) != 0 && (raw->header.sequence & (every - 1)) == 0;
    if (!sampled && (raw->header.reasons & DIAGNOSE_FIRST) == 0) continue;
    const auto attachment = std::ranges::find(probe.attached.attachments,
                                              uint32_t{raw->header.probe}, &Attachment::number);
    events.push_back(
        {.sequence = raw->header.sequence,
         .event = decode_event(*raw, *attachment, started_unix_ns_ - started_.count())});
    events.back().event.first = !sampled;
  }
  std::ranges::stable_sort(events, {},
                           [](const SampledEvent& event) { return event.event.timestamp; });
  return events;
}

// The calls of a probe that have not returned: often, the problem is what hangs. There may be
// thousands, and decoding one means looking into its process, so only the longest are decoded, and
// the longest of each system call, because the many threads that wait for work have waited longest.
Unfinished Engine::Impl::unfinished(const Probe& probe) const {
  struct Open {
    diagnose_open_call call;
    uint32_t thread;
    const Attachment* attachment;
    uint64_t for_us;
    bool before = false;  // it began before the probe
    std::optional<ProbeEvent> event{};
  };
  const auto& filters = probe.request.filters;
  // With a filter by the result, what waits for work in any of many calls is only noise.
  const bool by_result = filters.any_error || !filters.errors.empty() || filters.result;
  if (by_result && probe.attached.attachments.front().system_calls.size() > unfinished_shown)
    return {};
  const auto now = static_cast<uint64_t>(monotonic_now().count());
  const auto decode = [&](Open& open) {
    open.event = decode_open_call(open.call, open.thread, *open.attachment,
                                  started_unix_ns_ - started_.count());
    return open.event.has_value();
  };
  std::vector<Open> calls;
  for (const auto& [key, call] :
       entries_of<diagnose_open_key, diagnose_open_call>(programs_->maps.calls)) {
    const bool system_call = key.probe == DIAGNOSE_PROBES;
    for (const Attachment& attachment : probe.attached.attachments) {
      const bool its = system_call ? (call.probes & 1U << attachment.number) != 0
                                   : key.probe == attachment.number;
      const uint64_t for_us = (now - call.time_ns) / 1000;
      if (its && passes(filters, call, key.thread, for_us, system_call))
        calls.push_back(
            {.call = call, .thread = key.thread, .attachment = &attachment, .for_us = for_us});
    }
  }
  for (const CallInProgress& one : probe.before) {
    diagnose_open_call call = one.call;
    call.time_ns = static_cast<uint64_t>(started_.count());
    const uint64_t for_us = (now - call.time_ns) / 1000;
    const Attachment& attachment = probe.attached.attachments.front();
    if (attachment.system_calls.contains(call.call) &&
        passes(filters, call, one.thread, for_us, true) && still_in_progress(one))
      calls.push_back({.call = call,
                       .thread = one.thread,
                       .attachment = &attachment,
                       .for_us = for_us,
                       .before = true});
  }
  if (!filters.arguments.empty()) std::erase_if(calls, [&](Open& open) { return !decode(open); });
  std::ranges::stable_sort(calls, std::greater{}, &Open::for_us);
  Unfinished unfinished{.count = calls.size()};
  std::set<unsigned> seen;
  std::stable_partition(calls.begin(), calls.end(),
                        [&](const Open& open) { return seen.insert(open.call.call).second; });
  if (calls.size() > unfinished_shown) calls.resize(unfinished_shown);
  std::ranges::stable_sort(calls, std::greater{}, &Open::for_us);
  for (Open& open : calls)
    if (open.event || decode(open))
      unfinished.longest.push_back(
          {.event = std::move(*open.event), .for_us = open.for_us, .before = open.before});
  return unfinished;
}

std::vector<ProbeProgress> Engine::Impl::progress() const {
  std::vector<ProbeProgress> list;
  for (const Probe& probe : probes_)
    list.push_back({.name = probe.request.name,
                    .event_count = probe.running
                                       ? read_stats(*programs_, probe.attached.attachments).hits
                                       : probe.result.event_count,
                    .elapsed_s = probe.running ? seconds_of(monotonic_now() - started_)
                                               : probe.result.duration_s,
                    .duration_s = static_cast<double>(probe.request.duration.count()),
                    .running = probe.running,
                    .failed = probe.result.status == ProbeStatus::failed});
  return list;
}

std::vector<ProbeResult> Engine::Impl::results() {
  std::vector<ProbeResult> results;
  if (any_running()) return results;
  for (Probe& probe : probes_) {
    if (probe.result.status == ProbeStatus::failed) complete_failed(probe.result);
    results.push_back(std::move(probe.result));
  }
  probes_.clear();
  return results;
}

}  // namespace ebpf_ai_monitor
