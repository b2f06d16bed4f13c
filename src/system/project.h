#pragma once

#include <string>

namespace ebpf_ai_monitor {

// What a person calls the place where an agent works: `named` if that is anything, else the name of
// the git work tree that `directory` is in, else of the directory itself. Looks into the directory
// and those above it, so only ever as their user.
std::string project_name(const std::string& named, const std::string& directory);

}  // namespace ebpf_ai_monitor
