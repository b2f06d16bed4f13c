#include "bridge/wire.h"

#include <array>
#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor::wire {
namespace {

using nlohmann::json;

constexpr std::array states = {State::unknown, State::working, State::waiting, State::exited};

json json_of(const ProcessId& id) { return {{"pid", id.pid}, {"start_ticks", id.start_ticks}}; }

json json_of(const Session& session) {
  json content = json_of(session.id);
  content["agent"] = session.agent;
  content["project"] = session.project;
  content["tmux"] = session.tmux;
  content["tmux_pane"] = session.tmux_pane;
  content["state"] = name_of(session.state);
  content["since"] = session.since;
  content["started"] = session.started;
  content["unseen"] = session.unseen;
  return content;
}

// Takes the members out of an object and remembers the first that is missing or of another type.
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

}  // namespace

std::string encode(const Told& told) {
  json packet;
  if (const auto* session = std::get_if<Session>(&told)) {
    packet["session"] = json_of(*session);
  } else if (const auto* gone = std::get_if<Gone>(&told)) {
    packet["gone"] = json_of(gone->id);
  } else {
    packet["synced"] = json::object();
  }
  // What comes from an environment need not be UTF-8.
  return packet.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Told> decode_told(std::string_view packet) {
  const json content = json::parse(packet, nullptr, false);
  if (!content.is_object() || content.size() != 1 || !content.begin()->is_object())
    return fail("a message of the daemon is no JSON object with one object in it");

  Reader reader(*content.begin());
  const std::string& kind = content.begin().key();
  if (kind == "session") {
    Session session;
    reader.read(session.id);
    reader.read("agent", session.agent);
    reader.read("project", session.project);
    reader.read("tmux", session.tmux);
    reader.read("tmux_pane", session.tmux_pane);
    reader.read("state", session.state);
    reader.read("since", session.since);
    reader.read("started", session.started);
    reader.read("unseen", session.unseen);
    return reader.status().map([&] { return Told(session); });
  }
  if (kind == "gone") {
    Gone gone;
    reader.read(gone.id);
    return reader.status().map([&] { return Told(gone); });
  }
  if (kind == "synced") return Told(Synced{});
  return fail("a message of the daemon is of the unknown kind '" + kind + "'");
}

std::string_view text_of(NoWindow reason) {
  switch (reason) {
    case NoWindow::none:
      return "";
    case NoWindow::pending:
      return "its window is being looked for";
    case NoWindow::no_sway:
      return "no Sway answers in the user's runtime directory";
    case NoWindow::no_owner:
      return "no process of its pid chain owns a Sway window";
    case NoWindow::ambiguous:
      return "its terminal's process owns several Sway windows";
    case NoWindow::tmux_detached:
      return "no client shows its tmux session";
    case NoWindow::tmux_failed:
      return "its tmux server does not answer";
  }
  return "unknown";
}

}  // namespace ebpf_ai_monitor::wire
