// The mounts of a mount namespace, as /proc/<pid>/mountinfo lists them (proc(5)). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ebpf_ai_monitor {

// The directory `root` of the file system `device` is at `point`.
struct Mount {
  std::string device;  // "8:1"
  std::string root;
  std::string point;
};

// Leaves out lines that do not have this form.
std::vector<Mount> parse_mounts(std::string_view mountinfo);

// The path outside of what is at `path` inside, if both namespaces have a mount that contains it;
// else `path` itself.
std::string path_outside(const std::string& path, const std::vector<Mount>& inside,
                         const std::vector<Mount>& outside);

}  // namespace ebpf_ai_monitor
