#pragma once

#include <string_view>

namespace ebpf_ai_monitor {

// What an agent does, as far as its user is concerned.
enum class State {
  unknown,  // just seen, not judged yet
  working,
  waiting,  // for its user
  exited,
};

constexpr std::string_view name_of(State state) {
  switch (state) {
    case State::working:
      return "working";
    case State::waiting:
      return "waiting";
    case State::exited:
      return "exited";
    case State::unknown:
      break;
  }
  return "unknown";
}

}  // namespace ebpf_ai_monitor
