#pragma once

#include <string>

namespace ebpf_ai_monitor {

// The name that people give to the place where an agent works: `named` if it is not empty, else the
// name of the git work tree that contains `directory`, else the name of the directory itself. Reads
// the directory and those above it, so call it only as their user.
std::string project_name(const std::string& named, const std::string& directory);

}  // namespace ebpf_ai_monitor
