// The daemon's control interface on the system bus, which `status` uses. A caller sees their own
// sessions; root sees those of all users.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/allowance.h"
#include "core/fair_queue.h"
#include "system/bus.h"
#include "system/event_loop.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

namespace control {
inline const bus::ServiceName bus_name("org.ebpf_ai_monitor1");
inline const sdbus::ObjectPath object_path("/org/ebpf_ai_monitor1");
inline const bus::InterfaceName interface_name("org.ebpf_ai_monitor1");
// The error of Explain: the process belongs to no session, and why not. The message is a sentence.
inline const bus::ErrorName not_watched("org.ebpf_ai_monitor1.Error.NotWatched");
using Fact = sdbus::Struct<std::string, std::string>;            // label, text
using Change = sdbus::Struct<double, std::string, std::string>;  // Unix seconds, state, why
// What an a{sv} of this interface can contain.
using Value = std::variant<std::string, bool, uint32_t, uint64_t, int64_t, double,
                           std::vector<Fact>, std::vector<Change>>;
}  // namespace control

// One session, as ListSessions returns it: a{sv}.
//   pid u · start_ticks t · uid u · agent s · name s (for people) · state s · since d, started d
//   (Unix seconds) · why s · waits_for s ("prompt", "permission", "answer"; empty: not
//   known) · project s · directory s · terminal s · window x (Sway container id,
//   0: none) · no_window s (why none, else empty) · how s (how the window is known) · unseen u
// Explain returns this for one session, and what its judge knows: a key for each fact
// (judge/explain.h; a d is a number of seconds), `facts` a(ss), the same in words and in order, and
// `changes` a(dss), the most recent one last. Focus shows an agent to its user: its window, and
// in tmux its pane.
using SessionProperties = std::map<std::string, control::Value>;

class ControlInterface {
 public:
  struct Source {
    std::function<std::vector<SessionProperties>(uid_t caller)> sessions;
    // The session to which `pid` belongs. The error says why there is none for this caller.
    std::function<Result<SessionProperties>(uid_t caller, pid_t pid)> explain;
    // Shows its user the agent to whose session `pid` belongs; 0: the one of the caller's agents
    // that needs them most. The error says why that is not possible.
    std::function<Status(uid_t caller, pid_t pid)> focus;
    std::function<std::string()> probes;
    std::function<uint64_t()> events_received;
    std::function<uint64_t()> events_lost;
    std::function<uint32_t()> refused;
  };

  // Throws std::runtime_error if another daemon owns the name.
  ControlInterface(EventLoop& loop, Source source);

  // Emits SessionChanged(a{sv}) to those subscribers who may see this user's sessions: the user and
  // root. A broadcast would reach everyone on the bus, because the bus's policy cannot know whose
  // session it is about. So each caller of Subscribe gets signals that are sent only to them, until
  // they leave the bus.
  void session_changed(uid_t owner, const SessionProperties& session);

 private:
  void connect();
  void subscribe();
  // The call that is being answered.
  bus::Caller caller();
  // Answers when it is the turn of the caller's user.
  template <typename Answer>
  void answer_in_turn(sdbus::Result<Answer>&& reply, std::function<Answer(uid_t caller)> answer);
  void answer_next();

  EventLoop& loop_;
  const Source source_;
  std::map<std::string, uid_t> subscribers_;  // by their unique bus name
  bool no_bus_logged_ = false;                // set once it was logged that there is no bus
  std::unique_ptr<sdbus::IConnection> connection_;
  std::unique_ptr<sdbus::IObject> object_;
  std::unique_ptr<sdbus::IProxy> bus_;  // reports who leaves; null before the first subscriber
  std::unique_ptr<BusOnLoop> on_loop_;
  EventSourcePtr retry_;
  std::map<std::string, uid_t> callers_;  // by their unique bus name, as the bus has answered
  FairQueue<std::function<void()>> waiting_;
  Allowance answer_time_;
  EventSourcePtr answer_timer_;
};

}  // namespace ebpf_ai_monitor
