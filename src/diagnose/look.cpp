#include "diagnose/look.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace ebpf_ai_monitor {
namespace {

using Words = std::vector<std::string>;

bool only_has(std::string_view text, std::string_view punctuation) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           punctuation.find(c) != std::string_view::npos;
  });
}

template <size_t size>
bool is_one_of(std::string_view word, const std::array<std::string_view, size>& words) {
  return std::ranges::find(words, word) != words.end();
}

// "/proc/12/io": one of these files of a process or a thread.
template <size_t size>
bool is_of_process(std::string_view path, const std::array<std::string_view, size>& names) {
  constexpr std::string_view proc = "/proc/";
  if (!path.starts_with(proc)) return false;
  path.remove_prefix(proc.size());
  const auto take_number = [&] {
    const size_t end = std::min(path.find_first_not_of("0123456789"), path.size());
    const bool there = end > 0 && end < path.size() && path[end] == '/';
    if (there) path.remove_prefix(end + 1);
    return there;
  };
  if (!take_number()) return false;
  constexpr std::string_view task = "task/";
  if (path.starts_with(task)) {
    path.remove_prefix(task.size());
    if (!take_number()) return false;
  }
  return is_one_of(path, names);
}

constexpr std::array<std::string_view, 9> files = {
    "io", "stack", "maps", "limits", "status", "wchan", "syscall", "smaps_rollup", "cgroup"};
constexpr std::array<std::string_view, 3> links = {"exe", "cwd", "root"};
constexpr std::array<std::string_view, 6> listed = {"fd", "fd/", "ns", "exe", "cwd", "root"};

bool reads_proc(const Words& words) {
  if (words.size() == 2 && words[0] == "cat") return is_of_process(words[1], files);
  if (words.size() == 2 && words[0] == "readlink") return is_of_process(words[1], links);
  constexpr std::array<std::string_view, 3> options = {"-l", "-la", "-al"};
  return words.size() == 3 && words[0] == "ls" && is_one_of(words[1], options) &&
         is_of_process(words[2], listed);
}

// The options -K (closes sockets), -D and -F (files) are not among these.
bool lists_sockets(const Words& words) {
  return words[0] == "ss" &&
         std::ranges::all_of(words.begin() + 1, words.end(), [](const auto& word) {
           return word.size() > 1 && word[0] == '-' &&
                  word.find_first_not_of("tuwxnlpaoeimsH46", 1) == std::string::npos;
         });
}

bool asks_service_manager(const Words& words) {
  constexpr std::array<std::string_view, 7> verbs = {
      "status", "show", "list-units", "list-timers", "list-sockets", "is-active", "is-failed"};
  constexpr std::array<std::string_view, 5> options = {"--failed", "--all", "--no-pager", "--full",
                                                       "-l"};
  if (words == Words{"busctl", "list"} || words == Words{"busctl"}) return true;
  if (words[0] != "systemctl") return false;
  size_t verb_count = 0;
  for (size_t i = 1; i < words.size(); ++i) {
    if (is_one_of(words[i], options)) continue;
    if (++verb_count == 1 ? !is_one_of(words[i], verbs) : !only_has(words[i], "@:_.-"))
      return false;
    if (words[i].starts_with('-')) return false;
  }
  return verb_count > 0;
}

bool resolves_name(const Words& words) {
  constexpr std::array<std::string_view, 3> programs = {"nslookup", "host", "dig"};
  constexpr std::array<std::string_view, 9> types = {"A",   "AAAA", "CNAME", "MX", "NS",
                                                     "PTR", "SOA",  "SRV",   "TXT"};
  const auto is_name = [](std::string_view word) {
    return only_has(word, "._-:") && !word.starts_with('-') && word.size() < 254;
  };
  constexpr std::array<std::string_view, 2> databases = {"hosts", "ahosts"};
  if (words.size() == 3 && words[0] == "getent")
    return is_one_of(words[1], databases) && is_name(words[2]);
  if (words.size() == 3 && words[0] == "dig")
    return is_name(words[1]) && is_one_of(words[2], types);
  return words.size() == 2 && is_one_of(words[0], programs) && is_name(words[1]);
}

}  // namespace

std::optional<Look> look_of(std::string_view command) {
  Words words;
  std::istringstream stream{std::string(command)};
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  if (words.empty()) return std::nullopt;
  if (words == Words{"dmesg"} || words == Words{"dmesg", "-T"} ||
      words == Words{"dmesg", "--ctime"})
    return Look{.arguments = words, .privileged = true};
  if (words == Words{"lslocks"}) return Look{.arguments = words, .privileged = true};
  if (words == Words{"iptables-save"} || words == Words{"ip6tables-save"} ||
      words == Words{"nft", "list", "ruleset"})
    return Look{.arguments = words, .privileged = true};
  if (reads_proc(words) || lists_sockets(words) || asks_service_manager(words))
    return Look{.arguments = words, .privileged = true};
  if (resolves_name(words)) return Look{.arguments = words, .network = true};
  return std::nullopt;
}

}  // namespace ebpf_ai_monitor
