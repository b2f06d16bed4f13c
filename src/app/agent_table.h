// agents.toml, which says what is known of each agent.
#pragma once

#include <string>
#include <vector>

#include "core/agents.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// Where the administrator changes rows and adds some; EBPF_AI_MONITOR_AGENTS names another file.
constexpr const char* agents_file = "/etc/ebpf-ai-monitor/agents.toml";

// The rows that the program has of itself.
std::vector<AgentProfile> shipped_agents();
// Changes and adds the rows that the file has. The error names file, line, row and key.
Status read_agents(const std::string& path, std::vector<AgentProfile>& rows);
// Sets this process's table: the shipped rows, and what the administrator's file makes of them.
Status load_agents();

}  // namespace ebpf_ai_monitor
