#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

std::optional<Event> event_of(const agent_event& event) {
  using Kind = Event::Kind;
  Event result;
  result.time = Time(event.time_ns);
  result.pid = static_cast<pid_t>(event.pid);
  result.tid = static_cast<pid_t>(event.tid);
  switch (event.type) {
    case AGENT_OUTPUT:
      result.kind = Kind::output;
      result.previous = Time(event.output.previous_ns);
      result.bytes = event.output.bytes;
      result.line_mode = event.output.line_mode != 0;
      return result;
    case AGENT_READ_ENTER:
    case AGENT_READ_EXIT:
      result.kind = event.type == AGENT_READ_ENTER ? Kind::read_enter : Kind::read_exit;
      result.bytes = event.read.bytes;
      result.line_mode = event.read.line_mode != 0;
      return result;
    case AGENT_RESIZE:
      result.kind = Kind::resize;
      return result;
    case AGENT_FORK:
      result.kind = Kind::child;
      result.parent = result.pid;
      result.pid = static_cast<pid_t>(event.fork.child);
      return result;
    case AGENT_EXEC:
      result.kind = event.pid == event.session ? Kind::restart : Kind::exec;
      return result;
    case AGENT_EXIT:
      result.kind = event.pid == event.session ? Kind::exit : Kind::end;
      result.exit_code = static_cast<int>(event.exit.code);
      result.exit_signal = static_cast<int>(event.exit.signal);
      return result;
    case AGENT_SOCK_SEND:
    case AGENT_SOCK_RECV:
      result.kind = event.type == AGENT_SOCK_SEND ? Kind::sent : Kind::received;
      result.bytes = event.socket.bytes;
      return result;
    case AGENT_STOP:
    case AGENT_CONTINUE:
      result.kind = event.type == AGENT_STOP ? Kind::stop : Kind::resume;
      return result;
    default:
      return std::nullopt;
  }
}

}  // namespace ebpf_ai_monitor::judge
