#include "app/known_agents.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "app/control_client.h"
#include "core/agents.h"

namespace ebpf_ai_monitor {
namespace {

// In a badge, the start of the agent is a JSON number. Two agents of one window did not start at
// the same time.
constexpr double same_start = 0.001;

State state_named(const std::string& name) {
  for (const State state : {State::working, State::waiting, State::exited}) {
    if (name == name_of(state)) return state;
  }
  return State::unknown;
}

WaitsFor waits_for_named(const std::string& name) {
  for (const WaitsFor what : {WaitsFor::prompt, WaitsFor::permission, WaitsFor::answer}) {
    if (name == name_of(what)) return what;
  }
  return WaitsFor::unknown;
}

}  // namespace

PanelAgent panel_agent(const nlohmann::json& session) {
  const auto text = [&](const char* name) { return session.value(name, std::string()); };
  PanelAgent agent{.pid = session.value("pid", uint32_t{}),
                   .agent = text("agent"),
                   .name = text("name"),
                   .project = project_of(session),
                   .waits_for = waits_for_named(text("waits_for")),
                   .since = session.value("since", double{}),
                   .started = session.value("started", double{}),
                   .unseen = session.value("unseen", uint32_t{}),
                   .background = session.value("background", uint32_t{}),
                   .window = session.value("window", int64_t{}),
                   .workspace = "",
                   .terminal = text("terminal")};
  agent.need = need_of(state_named(text("state")), agent.unseen, agent.waits_for);
  return agent;
}

KnownAgents::KnownAgents() {
  try {
    connection_ = sdbus::createSystemBusConnection();
    daemon_ = sdbus::createProxy(*connection_, control::bus_name, control::object_path);
    daemon_->uponSignal("SessionChanged")
        .onInterface(control::interface_name)
        .call([this](const SessionProperties& session) { take(session); });
    bus::listen(*daemon_);
    daemon_comes_ = bus::add_match(
        *connection_,
        "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" +
            control::bus_name + "'",
        [this] { ask(); });
    ask();
  } catch (const sdbus::Error&) {
    lose();
  }
}

KnownAgents::~KnownAgents() = default;

int KnownAgents::wait_for(pollfd& ready) const {
  if (!connection_) return -1;
  try {
    const auto data = connection_->getEventLoopPollData();
    ready = {data.fd, data.events, 0};
    return data.getPollTimeout();
  } catch (const sdbus::Error&) {
    return 0;
  }
}

void KnownAgents::process() {
  try {
    while (connection_ && bus::process_one(*connection_)) {
    }
  } catch (const sdbus::Error&) {
    lose();
  }
}

void KnownAgents::wait_for_first_answer(std::chrono::milliseconds most) {
  const auto deadline = std::chrono::steady_clock::now() + most;
  for (process(); asked_; process()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    pollfd ready{-1, 0, 0};
    const int own = wait_for(ready);
    const int timeout = static_cast<int>(left.count());
    poll(&ready, 1, own >= 0 ? std::min(own, timeout) : timeout);
  }
}

std::optional<PanelAgents> KnownAgents::agents() const {
  if (!answered_) return std::nullopt;
  PanelAgents agents;
  for (const auto& [pid, agent] : agents_) agents.push_back(agent);
  sort_by_need(agents);
  return agents;
}

void KnownAgents::add_to(PanelBadges& badges) const {
  for (const auto& [pid, agent] : agents_) {
    const auto badge = badges.find(agent.window);
    if (badge == badges.end()) continue;
    const Badge& shown = badge->second.badge;
    if (std::abs(shown.session_started - agent.started) < same_start &&
        shown.source == profile_of(agent.agent).badge_source)
      badge->second.waits_for = agent.waits_for;
  }
}

void KnownAgents::ask() {
  agents_.clear();
  answered_ = false;
  asked_ = true;
  daemon_->callMethodAsync("Subscribe")
      .onInterface(control::interface_name)
      .uponReplyInvoke([](bus::ReplyError) {});
  daemon_->callMethodAsync("ListSessions")
      .onInterface(control::interface_name)
      .uponReplyInvoke(
          [this](bus::ReplyError error, const std::vector<SessionProperties>& sessions) {
            asked_ = false;
            answered_ = !error;
            if (answered_) std::ranges::for_each(sessions, [this](auto& it) { take(it); });
          });
}

void KnownAgents::take(const SessionProperties& properties) {
  const nlohmann::json session = to_json(properties);
  if (session.value("uid", uint32_t{}) != getuid()) return;
  PanelAgent agent = panel_agent(session);
  if (session.value("state", "") == name_of(State::exited))
    agents_.erase(agent.pid);
  else
    agents_[agent.pid] = std::move(agent);
}

void KnownAgents::lose() {
  agents_.clear();
  asked_ = answered_ = false;
  daemon_comes_.reset();
  daemon_.reset();
  connection_.reset();
}

}  // namespace ebpf_ai_monitor
