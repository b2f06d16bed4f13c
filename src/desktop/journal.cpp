// Without this, libsystemd's macros add the place in the source to each entry.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "desktop/journal.h"

#include <systemd/sd-journal.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>

#include "core/agents.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

// The id of these entries, as systemd-id128(1) makes ids.
constexpr const char* message_id = "b39eda0b15104c6f9ebb4a8d3b6c2f71";
constexpr double microseconds = 1e6;  // in microseconds: a second
constexpr double longest = 1e9;       // the longest time in a state, in seconds: 30 years

struct CloseJournal {
  void operator()(sd_journal* journal) const { sd_journal_close(journal); }
};
using Journal = std::unique_ptr<sd_journal, CloseJournal>;

std::string verb_of(Need state) {
  switch (state) {
    case Need::asks:
      return "asked";
    case Need::ready:
      return "was ready";
    case Need::working:
      return "worked";
    case Need::idle:
      return "was idle";
    case Need::unknown:
      break;
  }
  return "was in no known state";
}

std::string field(sd_journal* journal, const std::string& name) {
  const void* data = nullptr;
  size_t size = 0;
  if (sd_journal_get_data(journal, name.c_str(), &data, &size) < 0) return {};
  return std::string(static_cast<const char*>(data), size).substr(name.size() + 1);
}

std::optional<PastState> read_entry(sd_journal* journal) {
  uint64_t time = 0;
  if (sd_journal_get_realtime_usec(journal, &time) < 0) return std::nullopt;
  PastState state{.agent = field(journal, "AGENT"), .project = field(journal, "AGENT_PROJECT")};
  const std::string name = field(journal, "AGENT_STATE");
  for (const Need need : {Need::asks, Need::ready, Need::working, Need::idle})
    if (name == name_of(need)) state.state = need;
  const std::string lasted = field(journal, "AGENT_LASTED_SEC");
  double seconds = 0;
  const auto [end, error] = std::from_chars(lasted.data(), lasted.data() + lasted.size(), seconds);
  if (error != std::errc() || state.agent.empty() || !(seconds >= 0 && seconds <= longest))
    return std::nullopt;
  state.ended = static_cast<double>(time) / microseconds;
  state.began = state.ended - seconds;
  return state;
}

}  // namespace

void write_to_journal(const PastState& state, pid_t pid) {
  char lasted[32];
  std::snprintf(lasted, sizeof(lasted), "%.3f", state.ended - state.began);
  const std::string project = printable(state.project);
  const std::array fields = {"MESSAGE=" + (project.empty() ? "" : project + ": ") +
                                 display_name(state.agent) + " " + verb_of(state.state) + " for " +
                                 age_text(state.ended - state.began),
                             "MESSAGE_ID=" + std::string(message_id),
                             std::string("PRIORITY=6"),
                             std::string("SYSLOG_IDENTIFIER=ebpf-ai-monitor"),
                             "AGENT=" + state.agent,
                             "AGENT_PID=" + std::to_string(pid),
                             "AGENT_PROJECT=" + project,
                             "AGENT_STATE=" + std::string(name_of(state.state)),
                             "AGENT_LASTED_SEC=" + std::string(lasted)};
  std::array<iovec, fields.size()> parts;
  for (size_t i = 0; i < fields.size(); ++i)
    parts[i] = {.iov_base = const_cast<char*>(fields[i].data()), .iov_len = fields[i].size()};
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

Result<std::vector<PastState>> read_journal(double since,
                                            const std::optional<std::string>& directory) {
  sd_journal* opened = nullptr;
  const int result = directory ? sd_journal_open_directory(&opened, directory->c_str(), 0)
                               : sd_journal_open(&opened, SD_JOURNAL_LOCAL_ONLY);
  const Journal journal(opened);
  const std::string where = directory ? "the journal in " + *directory : "the journal";
  if (result < 0) return fail("cannot read " + where + ": " + std::strerror(-result));
  if (sd_journal_has_persistent_files(opened) <= 0 && sd_journal_has_runtime_files(opened) <= 0)
    return fail(
        "cannot read " + where +
        ": there is none that you may read; if /var/log/journal exists, systemd-journald(8) "
        "keeps a separate one for each user");
  const std::string own = "_UID=" + std::to_string(getuid());
  int matched = sd_journal_add_match(opened, ("MESSAGE_ID=" + std::string(message_id)).c_str(), 0);
  if (matched >= 0 && getuid() != 0) matched = sd_journal_add_match(opened, own.c_str(), 0);
  if (matched >= 0)
    matched = sd_journal_seek_realtime_usec(opened, static_cast<uint64_t>(since * microseconds));
  std::vector<PastState> states;
  int next = matched;
  while (next >= 0 && (next = sd_journal_next(opened)) > 0) {
    if (auto state = read_entry(opened)) states.push_back(std::move(*state));
  }
  if (next < 0) return fail("cannot read " + where + ": " + std::strerror(-next));
  return states;
}

}  // namespace ebpf_ai_monitor
