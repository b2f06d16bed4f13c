// What the readers of configuration files share.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

// "FILE, line 7: "
std::string place(const std::string& path, const toml::source_region& source);
Result<std::vector<std::string>> one_or_more_strings(const toml::node& node);
// The errors name the file, and the line if there is one.
Result<toml::table> parse_toml_file(const std::string& path);

}  // namespace ebpf_ai_monitor
