// agents.toml, which says what is known about each agent.
#pragma once

#include <string>
#include <vector>

#include "core/agents.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// The file in which the administrator changes and adds rows; EBPF_AI_MONITOR_AGENTS names another
// one.
constexpr const char* agents_file = "/etc/ebpf-ai-monitor/agents.toml";

// The rows that are part of the program.
std::vector<AgentProfile> shipped_agents();
// Changes and adds the rows that are in the file. The error names the file, the line, the row and
// the key.
Status read_agents(const std::string& path, std::vector<AgentProfile>& rows);
// Sets the table of this process: the installed rows, with the changes and additions of the
// administrator's file.
Status load_agents();

}  // namespace ebpf_ai_monitor
