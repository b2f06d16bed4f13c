// An answer for people: a summary, tables and histograms. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ebpf_ai_monitor {

// Lines of text. Text from processes is unchanged: the caller must make it fit for the terminal.
std::string report(const nlohmann::json& answer);

}  // namespace ebpf_ai_monitor
