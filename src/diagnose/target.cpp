#include "diagnose/target.h"

#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ebpf_ai_monitor {
namespace {

const std::filesystem::path tracefs_events = "/sys/kernel/tracing/events";

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
    if (!is_name(text, "."))
      return refuse("it is not the name of a kernel function, like tcp_connect");
    return TargetName{.category = "", .name = text};
  }
  TargetName name{.category = "", .name = text};
  if (const size_t separator = text.find_first_of("/:"); separator != std::string::npos)
    name = {.category = text.substr(0, separator), .name = text.substr(separator + 1)};
  const bool has_category = text != name.name;
  if (!is_name(name.name, "*?-") || (has_category && !is_name(name.category, "-")))
    return refuse("it is not the name of a tracepoint, like syscalls/sys_enter_connect or sched/*");
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
  if (!file || !(text << file.rdbuf())) return fail_errno("cannot read " + path.string());
  return text.str();
}

bool has_kprobes() { return access("/sys/bus/event_source/devices/kprobe/type", F_OK) == 0; }

}  // namespace ebpf_ai_monitor
