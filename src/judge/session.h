// One session as its judge knows it: what each witness remembers, and what the verdict itself does.
// Who reads it asks the witnesses; what changes it is a step (judge/verdict.h) alone.
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
#include "judge/titles.h"

namespace ebpf_ai_monitor::judge {

// How far its life has come. A new program in the same process begins at `ready` again.
enum class Stage {
  starting,  // it has not waited yet
  ready,     // it has, and nobody has asked it for anything: what it draws may be its start still
  asked,     // the wait after its next work is a completion
  proven,    // it has completed work: it starts up no more
};

// What the verdict itself remembers.
struct Standing {
  State state = State::unknown;
  Time changed{};  // time of the last transition, or of the beginning
  Time began{};    // when it was first seen, or its program started
  Stage stage = Stage::starting;
  // More than a message that left says that its present work is some.
  bool work_is_shown = false;
  // Signs that its start was more than one, until it has been asked for something in a wait: its
  // command line or a key asked for work; a whole request has left; its title has said that it
  // works.
  bool given = false;
  bool request_left = false;
  bool title_said_work = false;
  // Its present work began by itself, as something ended that went on in the background.
  bool after_background = false;
  Time silent_since{};  // the last output before the present wait
  Time silence_from{};  // silence before counts for nothing
  Time busy_until{};    // its silence until then was none of its choice
  int busy_looks = 0;   // at its present silence
  // In its present work a tool has ended, or it has sent something by itself: the model has yet to
  // say something to that. 0: no.
  Time words_due_since{};
  bool words_due_to_tool = false;  // and a request to the model has yet to follow
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

  State state() const { return standing.state; }
  bool has_waited() const { return standing.stage >= Stage::ready; }
  // It waits, and so many of the processes that it began for its work go on: a server, a long
  // command.
  size_t in_background() const {
    return state() == State::waiting && !idle.begins_processes() ? processes.children().size() : 0;
  }
  // It waits, and blinks: see IdleHabits.
  bool blinks() const { return state() == State::waiting && idle.blinks(); }
};

Session begin(Time now);
// Goes on where one daemon handed it to the next: what it drew meanwhile was seen by nobody.
Session go_on(Session session, Time now);

// As one daemon hands it to the next. Not the reads and the writes of the moment: the next looks
// anew.
void to_json(nlohmann::json& to, const Session& from);
void from_json(const nlohmann::json& from, Session& to);

}  // namespace ebpf_ai_monitor::judge
