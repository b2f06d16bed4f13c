#include "wire/messages.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor::wire {
namespace {

using nlohmann::json;

constexpr std::array states = {State::unknown, State::working, State::waiting, State::exited};

json json_of(const ProcessId& id) { return {{"pid", id.pid}, {"start_ticks", id.start_ticks}}; }

json json_of(const Agent& agent) {
  json content = json_of(agent.id);
  content["agent"] = agent.agent;
  content["project"] = agent.project;
  content["directory"] = agent.directory;
  content["tmux"] = agent.tmux;
  content["tmux_pane"] = agent.tmux_pane;
  content["state"] = name_of(agent.state);
  content["since"] = agent.since;
  content["worked"] = agent.worked;
  content["started"] = agent.started;
  content["unseen"] = agent.unseen;
  content["after_background"] = agent.after_background;
  content["blinks"] = agent.blinks;
  return content;
}

json json_of(const Gone& gone) {
  json content = json_of(gone.id);
  content["while_working"] = gone.while_working;
  content["exit_code"] = gone.exit_code;
  content["exit_signal"] = gone.exit_signal;
  return content;
}

json json_of(const Input& input) {
  json content = json_of(input.id);
  content["time"] = input.time;
  content["previous"] = input.previous;
  content["bytes"] = input.bytes;
  content["line_mode"] = input.line_mode;
  return content;
}

json json_of(const NotificationRules& rules) {
  return {{"notifications", rules.notifications},
          {"notify_after", rules.notify_after},
          {"remind_after", rules.remind_after},
          {"urgent", rules.urgent},
          {"urgent_questions", rules.urgent_questions},
          {"until_answered", rules.until_answered},
          {"command", rules.command}};
}

json json_of(const Synced& synced) { return {{"news_since", synced.news_since}}; }

json json_of(const TitleAsked& asked) { return json_of(asked.id); }

json json_of(const Tie& tie) {
  json content = json_of(tie.id);
  content["window"] = tie.window;
  content["sway"] = tie.sway;
  content["how"] = tie.how;
  return content;
}

json json_of(const Writers& writers) {
  json agents = json::array();
  for (const auto& agent : writers.agents) {
    json content = json_of(agent.id);
    content["began"] = agent.began;
    content["last"] = agent.last;
    agents.push_back(std::move(content));
  }
  return {{"window", writers.window}, {"time", writers.time}, {"agents", std::move(agents)}};
}

json json_of(const TmuxRan&) { return json::object(); }

json json_of(const GoTo& go) { return json_of(go.id); }

json json_of(const Successor&) { return json::object(); }

constexpr const char* kind_of(const Agent&) { return "agent"; }
constexpr const char* kind_of(const Gone&) { return "gone"; }
constexpr const char* kind_of(const Input&) { return "input"; }
constexpr const char* kind_of(const NotificationRules&) { return "rules"; }
constexpr const char* kind_of(const Synced&) { return "synced"; }
constexpr const char* kind_of(const TitleAsked&) { return "title_asked"; }
constexpr const char* kind_of(const Writers&) { return "writers"; }
constexpr const char* kind_of(const Tie&) { return "tie"; }
constexpr const char* kind_of(const TmuxRan&) { return "tmux_ran"; }
constexpr const char* kind_of(const GoTo&) { return "go_to"; }
constexpr const char* kind_of(const Successor&) { return "successor"; }

// Takes the members out of an object, and remembers the first that is missing or of the wrong type.
class Reader {
 public:
  explicit Reader(const json& content) : content_(content) {}

  template <typename Number>
  void read(const char* name, Number& value) {
    const auto member = content_.find(name);
    if (member == content_.end() || !member->is_number()) return complain(name);
    value = member->get<Number>();
  }

  void read(const char* name, std::string& value) {
    const auto member = content_.find(name);
    if (member == content_.end() || !member->is_string()) return complain(name);
    value = member->get<std::string>();
  }

  void read(const char* name, bool& value) {
    const auto member = content_.find(name);
    if (member == content_.end() || !member->is_boolean()) return complain(name);
    value = member->get<bool>();
  }

  void read(const char* name, std::vector<Writers::Writer>& value) {
    const auto member = content_.find(name);
    if (member == content_.end() || !member->is_array()) return complain(name);
    for (const json& entry : *member) {
      Reader reader(entry);
      Writers::Writer& writer = value.emplace_back();
      reader.read(writer.id);
      reader.read("began", writer.began);
      reader.read("last", writer.last);
      if (!reader.status()) return complain(name);
    }
  }

  void read(const char* name, State& value) {
    std::string text;
    read(name, text);
    for (const State state : states) {
      if (text == name_of(state)) {
        value = state;
        return;
      }
    }
    complain(name);
  }

  void read(ProcessId& id) {
    read("pid", id.pid);
    read("start_ticks", id.start_ticks);
    if (id.pid <= 0) complain("pid");
  }

  Status status() const {
    if (!bad_.empty()) return fail("a message of the daemon has no valid '" + bad_ + "'");
    return {};
  }

 private:
  void complain(const char* name) {
    if (bad_.empty()) bad_ = name;
  }

  const json& content_;
  std::string bad_;
};

Agent agent_in(Reader& reader) {
  Agent agent;
  reader.read(agent.id);
  reader.read("agent", agent.agent);
  reader.read("project", agent.project);
  reader.read("directory", agent.directory);
  reader.read("tmux", agent.tmux);
  reader.read("tmux_pane", agent.tmux_pane);
  reader.read("state", agent.state);
  reader.read("since", agent.since);
  reader.read("worked", agent.worked);
  reader.read("started", agent.started);
  reader.read("unseen", agent.unseen);
  reader.read("after_background", agent.after_background);
  reader.read("blinks", agent.blinks);
  return agent;
}

}  // namespace

std::string encode(const DaemonMessage& message) {
  json packet;
  std::visit([&](const auto& what) { packet[kind_of(what)] = json_of(what); }, message);
  // The values of an environment need not be UTF-8.
  return packet.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<DaemonMessage> decode_message(std::string_view packet) {
  const json content = json::parse(packet, nullptr, false);
  if (!content.is_object() || content.size() != 1 || !content.begin()->is_object())
    return fail("a message of the daemon is not a JSON object with exactly one member, an object");

  Reader reader(*content.begin());
  const std::string& kind = content.begin().key();
  if (kind == "agent") {
    const Agent agent = agent_in(reader);
    return reader.status().map([&] { return DaemonMessage(agent); });
  }
  if (kind == "gone") {
    Gone gone;
    reader.read(gone.id);
    reader.read("while_working", gone.while_working);
    reader.read("exit_code", gone.exit_code);
    reader.read("exit_signal", gone.exit_signal);
    return reader.status().map([&] { return DaemonMessage(gone); });
  }
  if (kind == "input") {
    Input input;
    reader.read(input.id);
    reader.read("time", input.time);
    reader.read("previous", input.previous);
    reader.read("bytes", input.bytes);
    reader.read("line_mode", input.line_mode);
    return reader.status().map([&] { return DaemonMessage(input); });
  }
  if (kind == "rules") {
    NotificationRules rules;
    reader.read("notifications", rules.notifications);
    reader.read("notify_after", rules.notify_after);
    reader.read("remind_after", rules.remind_after);
    reader.read("urgent", rules.urgent);
    reader.read("urgent_questions", rules.urgent_questions);
    reader.read("until_answered", rules.until_answered);
    reader.read("command", rules.command);
    return reader.status().map([&] { return DaemonMessage(rules); });
  }
  if (kind == "synced") {
    Synced synced;
    reader.read("news_since", synced.news_since);
    return reader.status().map([&] { return DaemonMessage(synced); });
  }
  if (kind == "title_asked") {
    TitleAsked asked;
    reader.read(asked.id);
    return reader.status().map([&] { return DaemonMessage(asked); });
  }
  if (kind == "tie") {
    Tie tie;
    reader.read(tie.id);
    reader.read("window", tie.window);
    reader.read("sway", tie.sway);
    reader.read("how", tie.how);
    return reader.status().map([&] { return DaemonMessage(tie); });
  }
  if (kind == "writers") {
    Writers writers;
    reader.read("window", writers.window);
    reader.read("time", writers.time);
    reader.read("agents", writers.agents);
    return reader.status().map([&] { return DaemonMessage(writers); });
  }
  if (kind == "successor") return DaemonMessage(Successor{});
  if (kind == "tmux_ran") return DaemonMessage(TmuxRan{});
  if (kind == "go_to") {
    GoTo go;
    reader.read("pid", go.id.pid);
    reader.read("start_ticks", go.id.start_ticks);
    return reader.status().map([&] { return DaemonMessage(go); });
  }
  return fail("a message of the daemon is of the unknown kind '" + kind + "'");
}

std::string_view text_of(NoWindow reason) {
  switch (reason) {
    case NoWindow::none:
      return "";
    case NoWindow::pending:
      return "the search for its window is in progress";
    case NoWindow::no_sway:
      return "no Sway answers in the user's runtime directory";
    case NoWindow::no_owner:
      return "none of its ancestors owns a Sway window; press a key in the agent to show which "
             "window it is in";
    case NoWindow::ambiguous:
      return "its terminal's process owns several Sway windows; press a key in the agent to show "
             "which window it is in";
    case NoWindow::tmux_detached:
      return "no client shows its tmux session";
    case NoWindow::tmux_failed:
      return "its tmux server does not answer";
  }
  return "unknown";
}

std::string text_in(const Report& report) {
  std::string line(report.text, strnlen(report.text, sizeof(report.text)));
  std::ranges::replace_if(
      line, [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

void set_text(Report& report, std::string_view text) {
  const size_t copied = text.copy(report.text, sizeof(report.text) - 1);
  report.text[copied] = '\0';
}

}  // namespace ebpf_ai_monitor::wire
