#pragma once

#include <string_view>

namespace ebpf_ai_monitor {

// What an agent does, from its user's point of view.
enum class State {
  unknown,  // just seen, or stopped
  working,
  waiting,  // for its user
  exited,
};

// What a waiting agent wants from its user, if that is known.
enum class WaitsFor : unsigned {
  unknown,
  prompt,      // it has finished
  permission,  // permission to run a tool
  answer,      // an answer to another question
};

// What an agent says about itself: in the title of its terminal, or in its session file.
enum class TitleSays : unsigned {
  nothing,
  working,
  asks,  // for permission, or a question
  idle,  // it has finished
};

constexpr std::string_view name_of(TitleSays says) {
  switch (says) {
    case TitleSays::working:
      return "working";
    case TitleSays::asks:
      return "asks";
    case TitleSays::idle:
      return "idle";
    case TitleSays::nothing:
      break;
  }
  return "none";
}

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

// For people, about an agent that waits. Empty: it does not ask, or that is not known.
constexpr std::string_view what_asks(WaitsFor what) {
  switch (what) {
    case WaitsFor::permission:
      return "asks for permission";
    case WaitsFor::answer:
      return "asks a question";
    case WaitsFor::prompt:
    case WaitsFor::unknown:
      break;
  }
  return "";
}

constexpr std::string_view name_of(WaitsFor what) {
  switch (what) {
    case WaitsFor::prompt:
      return "prompt";
    case WaitsFor::permission:
      return "permission";
    case WaitsFor::answer:
      return "answer";
    case WaitsFor::unknown:
      break;
  }
  return "";
}

}  // namespace ebpf_ai_monitor
