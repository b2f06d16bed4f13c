// The daemon's control interface on the system bus: what `status` asks. A caller sees their own
// sessions, root everyone's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
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
// The error of Explain: the process is no session's, and why; its message is a sentence.
inline const bus::ErrorName not_watched("org.ebpf_ai_monitor1.Error.NotWatched");
using Fact = sdbus::Struct<std::string, std::string>;            // label, text
using Change = sdbus::Struct<double, std::string, std::string>;  // Unix seconds, state, why
}  // namespace control

// One session, as ListSessions gives it: a{sv}.
//   pid u · start_ticks t · uid u · agent s · name s (for people) · state s · since d, started d
//   (Unix seconds) · why s · waits_for s ("prompt", "permission", "answer"; "": not
//   known) · project s · directory s · terminal s · window x (Sway container id,
//   0: none) · no_window s (why none, "" otherwise) · how s (how the window is known) · unseen u
// Explain gives this of one session, and what its judge knows: a key a fact (judge/explain.h; a d
// is seconds), `facts` a(ss), the same in words and in order, and `changes` a(dss), the latest
// last. Focus has an agent brought before its user: its window, and in tmux its pane.
using SessionProperties = std::map<std::string, sdbus::Variant>;

class ControlInterface {
 public:
  struct Source {
    std::function<std::vector<SessionProperties>(uid_t caller)> sessions;
    // Of the session that `pid` is a member of; the error says why there is none for this caller.
    std::function<Result<SessionProperties>(uid_t caller, pid_t pid)> explain;
    // Has the agent that `pid` is of brought before its user; 0: the caller's neediest. The error
    // says why that cannot be.
    std::function<Status(uid_t caller, pid_t pid)> focus;
    std::function<std::string()> probes;
    std::function<uint64_t()> events_received;
    std::function<uint64_t()> events_lost;
    std::function<uint32_t()> refused;
  };

  // Throws std::runtime_error if another daemon owns the name.
  ControlInterface(EventLoop& loop, Source source);

  // Emits SessionChanged(a{sv}) to the subscribers who may know of this user's sessions: that
  // user's and root's. A broadcast would reach everyone on the bus, whose policy cannot tell the
  // owners of sessions apart; so who calls Subscribe is sent signals of their own, until they leave
  // the bus.
  void session_changed(uid_t owner, const SessionProperties& session);

 private:
  void connect();
  void subscribe();
  // Of the call that is answered now.
  bus::Caller caller();
  // Has the caller's turn come before it answers.
  template <typename Answer>
  void answer_in_turn(sdbus::Result<Answer>&& reply, std::function<Answer(uid_t caller)> answer);
  void answer_next();

  EventLoop& loop_;
  const Source source_;
  std::map<std::string, uid_t> subscribers_;  // by their unique bus name
  bool said_ = false;                         // that there is no bus; once is enough
  std::unique_ptr<sdbus::IConnection> connection_;
  std::unique_ptr<sdbus::IObject> object_;
  std::unique_ptr<sdbus::IProxy> bus_;  // tells who leaves; null before the first subscriber
  std::unique_ptr<BusOnLoop> on_loop_;
  EventSourcePtr retry_;
  std::map<std::string, uid_t> callers_;  // by their unique bus name; the bus has told
  FairQueue<std::function<void()>> waiting_;
  Allowance answer_time_;
  EventSourcePtr answer_timer_;
};

}  // namespace ebpf_ai_monitor
