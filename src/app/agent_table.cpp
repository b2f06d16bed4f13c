#include "app/agent_table.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "app/toml_file.h"
#include "shipped_agents.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t max_id = 15;  // the length that the option `processes` accepts

Status read_strings(const toml::node& node, std::vector<std::string>& into) {
  auto list = one_or_more_strings(node);
  if (!list) return tl::make_unexpected(list.error());
  if (std::ranges::find(*list, "") != list->end()) return fail("contains an empty string");
  into = std::move(*list);
  return {};
}

Status read_names(const toml::node& node, std::vector<std::string>& into) {
  if (auto status = read_strings(node, into); !status) return status;
  for (const std::string& name : into) {
    if (name.find('/') != std::string::npos)
      return fail("contains the path '" + name + "'; write only its last part");
  }
  return {};
}

Status read_text(const toml::node& node, std::string& into) {
  const auto text = node.value_exact<std::string>();
  if (!text || text->empty()) return fail("must be a string, and not empty");
  into = *text;
  return {};
}

Status read_source(const toml::node& node, std::string& into) {
  const std::string text = node.value_exact<std::string>().value_or("");
  // The values of docs/badge.schema.json: panels know no others.
  if (text != "claude-code" && text != "codex" && text != generic_badge_source)
    return fail(R"(must be "claude-code", "codex" or "generic")");
  into = text;
  return {};
}

Status read_waits_for(const toml::node& node, WaitsFor& into) {
  const std::string text = node.value_exact<std::string>().value_or("");
  for (const WaitsFor what : {WaitsFor::permission, WaitsFor::answer, WaitsFor::prompt}) {
    if (text != name_of(what)) continue;
    into = what;
    return {};
  }
  return fail(R"(must be "permission", "answer" or "prompt")");
}

Status read_titles(const toml::node& node, TitleRules& into) {
  if (!node.is_table()) return fail("must be a table of working, asks and idle");
  for (const auto& [key, value] : *node.as_table()) {
    std::vector<std::string>* prefixes = key == "working" ? &into.working
                                         : key == "asks"  ? &into.asks
                                         : key == "idle"  ? &into.idle
                                                          : nullptr;
    const std::string name(key.str());
    if (prefixes == nullptr)
      return fail("has an unknown '" + name + "'; known: working, asks, idle");
    if (auto status = read_strings(value, *prefixes); !status)
      return fail("has a '" + name + "' that " + status.error().message);
  }
  return {};
}

// Sets one key; the error says what is wrong with its value.
Status set(AgentProfile& row, std::string_view key, const toml::node& node) {
  if (key == "names") return read_names(node, row.names);
  if (key == "shared-names") return read_names(node, row.shared_names);
  if (key == "packages") return read_strings(node, row.packages);
  if (key == "helpers") return read_strings(node, row.helpers);
  if (key == "display-name") return read_text(node, row.display_name);
  if (key == "source") return read_source(node, row.badge_source);
  if (key == "icon") return read_text(node, row.icon);
  if (key == "blink-means") return read_waits_for(node, row.blink_means);
  if (key == "titles") return read_titles(node, row.titles);
  if (key == "session-file") {
    const auto value = node.value_exact<bool>();
    if (!value) return fail("must be true or false");
    row.has_session_file = *value;
    return {};
  }
  return fail(
      "is not a key; the keys are names, shared-names, packages, helpers, display-name, source, "
      "icon, "
      "session-file, blink-means and titles");
}

// What a row must have as a whole.
Status check(const AgentProfile& row) {
  if (row.names.empty() && row.shared_names.empty())
    return fail("'names' is missing; add the names of the agent's processes");
  if (!row.shared_names.empty() && row.packages.empty())
    return fail("'packages' is missing; 'shared-names' need it");
  return {};
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= max_id &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

Status read_rows(const toml::table& table, const std::string& path,
                 std::vector<AgentProfile>& rows) {
  for (const auto& [key, node] : table) {
    const std::string id(key.str());
    const std::string where = place(path, node.source()) + "[" + id + "] ";
    if (!is_id(id)) return fail(where + "is not an id: use at most 15 of a-z, 0-9 and '-'");
    if (!node.is_table()) return fail(where + "must be a table: the row of an agent");
    auto row = std::ranges::find(rows, id, &AgentProfile::id);
    if (row == rows.end())
      row = rows.insert(row, {.id = id, .names = {}, .icon = "ebpf-ai-monitor-" + id});
    for (const auto& [name, value] : *node.as_table()) {
      if (auto status = set(*row, name.str(), value); !status)
        return fail(place(path, value.source()) + "[" + id + "] '" + std::string(name.str()) +
                    "' " + status.error().message);
    }
    if (auto status = check(*row); !status) return fail(where + status.error().message);
  }
  return {};
}

}  // namespace

std::vector<AgentProfile> shipped_agents() {
  std::vector<AgentProfile> rows;
  const auto read =
      read_rows(toml::parse(std::string_view(shipped_agents_toml)), "agents.toml", rows);
  if (!read) throw std::logic_error(read.error().message);
  return rows;
}

Status read_agents(const std::string& path, std::vector<AgentProfile>& rows) {
  const auto table = parse_toml_file(path);
  if (!table) return tl::make_unexpected(table.error());
  return read_rows(*table, path, rows);
}

Status load_agents() {
  std::vector<AgentProfile> rows = shipped_agents();
  const char* elsewhere = std::getenv("EBPF_AI_MONITOR_AGENTS");
  if (elsewhere != nullptr || std::filesystem::exists(agents_file)) {
    if (auto read = read_agents(elsewhere != nullptr ? elsewhere : agents_file, rows); !read)
      return read;
  }
  set_agent_profiles(std::move(rows));
  return {};
}

}  // namespace ebpf_ai_monitor
