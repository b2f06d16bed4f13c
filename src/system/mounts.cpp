#include "system/mounts.h"

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>

namespace ebpf_ai_monitor {
namespace {

// The kernel writes a space, a tab, a newline and a backslash as three octal digits.
std::string unescaped(std::string_view text) {
  const auto digit = [&](size_t at) {
    return at < text.size() && text[at] >= '0' && text[at] <= '7' ? text[at] - '0' : -1;
  };
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::array digits = {digit(i + 1), digit(i + 2), digit(i + 3)};
    if (text[i] != '\\' || std::ranges::min(digits) < 0) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>(digits[0] * 64 + digits[1] * 8 + digits[2]);
    i += digits.size();
  }
  return plain;
}

// What follows `directory` in `path`; none: it is not in it.
std::optional<std::string> below(const std::string& directory, const std::string& path) {
  if (directory == "/") return path == "/" ? "" : path;
  if (!path.starts_with(directory)) return std::nullopt;
  const std::string rest = path.substr(directory.size());
  if (!rest.empty() && rest.front() != '/') return std::nullopt;
  return rest;
}

std::string in(const std::string& directory, const std::string& rest) {
  if (rest.empty()) return directory;
  return directory == "/" ? rest : directory + rest;
}

}  // namespace

std::vector<Mount> parse_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id;
    std::string parent;
    Mount mount;
    if (!(fields >> id >> parent >> mount.device >> mount.root >> mount.point)) continue;
    mount.root = unescaped(mount.root);
    mount.point = unescaped(mount.point);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::string path_outside(const std::string& path, const std::vector<Mount>& inside,
                         const std::vector<Mount>& outside) {
  // Of several mounts at one point, the last one is visible.
  const Mount* its = nullptr;
  for (const Mount& mount : inside) {
    if (below(mount.point, path) && (!its || mount.point.size() >= its->point.size())) its = &mount;
  }
  if (!its) return path;
  const std::string place = in(its->root, *below(its->point, path));
  const Mount* there = nullptr;
  for (const Mount& mount : outside) {
    if (mount.device != its->device || !below(mount.root, place)) continue;
    if (in(mount.point, *below(mount.root, place)) == path) return path;
    if (!there || mount.root.size() > there->root.size()) there = &mount;
  }
  return there ? in(there->point, *below(there->root, place)) : path;
}

}  // namespace ebpf_ai_monitor
