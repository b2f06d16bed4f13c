// One session as its judge knows it: what each witness remembers, and what the verdict itself
// remembers. Readers ask the witnesses; only a step (judge/verdict.h) changes anything.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/state.h"
#include "judge/animation.h"
#include "judge/drawing.h"
#include "judge/idle_habits.h"
#include "judge/input.h"
#include "judge/line_reads.h"
#include "judge/processes.h"
#include "judge/requests.h"
#include "judge/statement.h"
#include "judge/titles.h"

namespace ebpf_ai_monitor::judge {

// How far the session has come. A new program in the same process begins at `ready` again.
enum class Stage {
  starting,  // it has not waited yet
  ready,     // it has waited, and nobody has asked it for anything: what it draws may still be its
             // start
  asked,     // the wait after its next work is a completion
  proven,    // it has completed work, so it no longer starts up
};

// What the verdict itself remembers.
struct Standing {
  State state = State::unknown;
  Time changed{};  // time of the last transition, or of the beginning of the session
  Time began{};    // when it was first seen, or its program started
  Stage stage = Stage::starting;
  // Its present work is proved by more than a message that it sent.
  bool work_is_shown = false;
  // Signs that this is more than a start, before it has been asked for something in a wait: its
  // command line or a key asked for work; a complete request was sent; its title or its session
  // file has said that it works.
  bool given = false;
  bool request_left = false;
  bool said_work = false;
  // Its present work began by itself, when something ended that had continued in the background.
  bool after_background = false;
  // When its user allowed a tool, in the present wait or in the work that followed: a process began
  // soon after a key, or after the title had said that it asks. 0: never.
  Time allowed_tool{};
  Time silent_since{};  // the last output before the present wait
  Time silence_from{};  // silence before this time does not count
  Time busy_until{};    // its silence until then was not its own choice
  int busy_looks = 0;   // during its present silence
  // In its present work a tool has ended, or it has sent something by itself, so the model must
  // still react. 0: no.
  Time output_due_since{};
  bool output_due_to_tool = false;  // and a request to the model must still follow
};

struct Session {
  Standing standing;
  LineReads line_reads;
  Drawing drawing;
  Input input;
  Requests requests;
  Processes processes;
  Animation animation;
  IdleHabits idle;
  Titles titles;
  Statement session_file;

  State state() const { return standing.state; }
  bool has_waited() const { return standing.stage >= Stage::ready; }
  // It waits, and this many of the processes that it started for its work continue: a server, a
  // long command.
  size_t in_background() const {
    return state() == State::waiting && !idle.begins_processes() ? processes.children().size() : 0;
  }
  // Its title or its session file says so.
  bool asks() const {
    return titles.says() == TitleSays::asks || session_file.says() == TitleSays::asks;
  }
  // It seems to have asked its model for something, but shows no work. Whether an answer arrives
  // decides.
  bool awaits_answer() const {
    return state() == State::waiting && requests.asked_model() &&
           animation.kind() != Animation::shown;
  }
  // It waits, and blinks: see IdleHabits.
  bool blinks() const { return state() == State::waiting && idle.blinks(); }
};

Session begin(Time now);
// Continues where one daemon handed the session over to the next. Nobody saw what it drew in
// between.
Session go_on(Session session, Time now);

// What one daemon hands over to the next. Without the reads and writes of the moment: the next
// daemon looks for them.
void to_json(nlohmann::json& to, const Session& from);
void from_json(const nlohmann::json& from, Session& to);

}  // namespace ebpf_ai_monitor::judge
