// An answer for a person: a summary, tables and histograms. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ebpf_ai_monitor {

// Lines of text. What processes say in it stands as it is: who prints it takes care of the
// terminal.
std::string report(const nlohmann::json& answer);

}  // namespace ebpf_ai_monitor
