// The texts that commands print for a person, made from the data that they have. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/panel.h"
#include "kernel/support.h"

namespace ebpf_ai_monitor {

// `status`: from the daemon's answer, and its agents in the order of the table.
std::string status_text(const nlohmann::json& status, const PanelAgents& agents,
                        const TableStyle& style);
// `explain`: from the daemon's answer.
std::string explanation_text(const nlohmann::json& answer, const TableStyle& style);
// `doctor`. `by_root`: root has run it, so that there is nobody else to ask.
std::string findings_text(const std::vector<Finding>& findings, bool by_root,
                          const TableStyle& style);
// "ok", "limited", "missing", "unknown".
const char* word_for(Fitness fitness);

}  // namespace ebpf_ai_monitor
