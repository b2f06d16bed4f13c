#include "system/project.h"

#include <filesystem>
#include <string_view>
#include <system_error>

namespace ebpf_ai_monitor {
namespace {

// The suffix that the kernel appends in /proc to a directory that was removed.
constexpr std::string_view removed = " (deleted)";

}  // namespace

std::string project_name(const std::string& named, const std::string& directory) {
  if (!named.empty()) return named;
  std::filesystem::path path(directory.ends_with(removed)
                                 ? directory.substr(0, directory.size() - removed.size())
                                 : directory);
  for (std::filesystem::path tree = path; tree.has_relative_path(); tree = tree.parent_path()) {
    std::error_code ignored;
    // In a linked work tree and in a submodule, this is a file.
    if (std::filesystem::exists(tree / ".git", ignored)) return tree.filename();
  }
  return path.filename();
}

}  // namespace ebpf_ai_monitor
