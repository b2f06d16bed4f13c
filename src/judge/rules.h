// Every constant that the judge goes by, each with what it rests on. Measured, where nothing else
// is said, on Claude Code 2.1.197 and Codex 0.169.0 at work: tests/traces/claude.jsonl,
// codex.jsonl, and
// *-animation-off.jsonl for what does not animate.
#pragma once

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

// What a user may set.
struct Rules {
  // Silence of this length is a wait. `--wait-threshold`.
  Time wait_threshold = 1s;
  // `--wait-threshold auto`: where an animation has shown its period, `silent_periods` of it are
  // enough.
  bool adaptive = false;
};

namespace rule {

// ---- drawing ----

// Output is steady if it comes at most this long after the output before it: twice the longest gap
// that an animation was seen to make, 0.36 s (Claude Code). A clock or a blinking title, once a
// second, is not: it neither prolongs work nor begins any.
constexpr Time steady_gap = 750ms;
// Where something ticks also while the agent waits, a tick may come that soon after its work: there
// it is little more than an animation's longest gap.
constexpr Time steady_gap_of_ticking = 400ms;
// The same where its animation is known to be as fast as that: then a slower one is a blink, such
// as the dot in Claude Code's permission dialog, every 0.6 s (claude-permission-dialog-blinks).
constexpr Time fast_period = 200ms;
// A blink: so many gaps in a row that differ from the first by less than this share, between
// pictures whose sizes differ by no more than this.
constexpr int gaps_for_blink = 3;
constexpr int gaps_for_beat = 2;
constexpr int blink_share = 10;
constexpr int64_t blink_bytes = 8;
constexpr int fast_before_blink = 1;
// Writes this close are one picture: twice what the kernel programs coalesce (output_window.h).
constexpr Time picture = 100ms;
// Work is at least this many unexplained writes, spread over at least this time. A repaint for a
// reason of its own (a clock, a blink) is shorter or sparser.
constexpr int work_writes = 3;
constexpr Time work_spread = 250ms;
// Of what ticks also while it waits (a clock does once a second), so many in less than a tick.
constexpr Time clock_tick = 950ms;

// ---- input ----

// Output this soon after input is its echo. Slowest echo measured: 0.15 s.
constexpr Time echo_window = 300ms;
// Output this soon after SIGWINCH is the repaint (claude-resizing, codex-resizing).
constexpr Time repaint_window = 500ms;
// A key is one or two bytes; reports of the mouse, of the focus and pastes are longer.
constexpr int64_t key_bytes = 2;
// A key is alone if none came this long before it: Esc, but not the Enter of a prompt.
constexpr Time lone_key = 2s;

// ---- silence ----

// `auto`: not less than the least silence, which is 1.4 times the longest gap measured, 0.36 s.
constexpr double silent_periods = 2.75;
constexpr Time least_silence = 500ms;
// Silence that is a wait, in the longest gaps of its latest work: Claude Code's with reduced motion
// are 0.99 s, and 1.08 s on a busy machine.
constexpr double slow_periods = 1.5;
// Where nothing but lone writes have come, the last of them is so many thresholds old at least, in
// which an animation would have drawn again; or `steady_gap_of_ticking`, if that is less.
constexpr int lone_write_share = 4;
// So soon it is looked at again what had no time to draw; but not for ever: Qwen Code's node has a
// thread that runs also while it waits (qwen-busy).
constexpr Time busy_look = 500ms;
constexpr int busy_looks = 2;
// Of agents without an animation, in thresholds: pauses of a stream are shorter. Claude Code's
// count of seconds, with reduced motion, has gaps of 0.99 s.
constexpr double still_patience = 2.5;
// The same where the agent has something to say yet: a tool of its has ended, or it has sent
// something by itself. And where a process it began goes on while it talks: a server, most likely.
constexpr double step_patience = 30;
// The same while a process runs that it began last, and has said nothing since: a tool.
constexpr double tool_patience = 120;
// Silence that is a wait where it has paused in the midst of its work before, in such pauses.
constexpr double longer_than_pause = 1.25;
// A request that is not answered by a single picture in this time never will be.
constexpr Time unanswered_limit = 10min;

// ---- requests, of agents without an animation ----

// A key does something if a message leaves this soon after it: measured, 8 to 50 ms, and larger
// than a keep-alive (8 and 32 bytes; an answer to a dialog: 45).
constexpr Time act_window = 100ms;
constexpr int64_t act_bytes = 40;
// A request to a model may take longer to leave (0.32 s) but is larger (910 bytes and more).
constexpr Time request_window = 400ms;
constexpr int64_t request_bytes = 512;
// One that is as large as this is a request whatever came in: a key may be read together with a
// report of the terminal, and leave late on a busy machine (0.79 s). Claude Code's first is 56 KB,
// Qwen Code's 88 KB.
constexpr int64_t whole_request_bytes = 16 * 1024;
constexpr Time whole_request_window = 1s;
// An animation begins sooner than this after a request, and the words of a model come later.
constexpr Time late_answer = 1s;
// What draws as slowly as this since a request left, works: Claude Code with reduced motion, every
// 0.96 s. So many pictures at the least, and not so many faster ones.
constexpr int slow_pictures = 2;
constexpr int fast_pictures = 3;
constexpr Time slow_since_request = 1400ms;
// A model is sent all that was said before: what is smaller by this than the request that began the
// work asks it for nothing.
constexpr int64_t least_share_of_request = 4;
// What it says last in its work leaves this soon after its last picture, or before it: Codex with
// its animations off says the same 235 bytes 20 to 80 ms after each turn's end, and at no other
// time.
constexpr Time last_words = 300ms;
// A message is none of those that it sends by itself, telemetry say, if it is larger than the
// largest of them by this.
constexpr int64_t clearly_larger(int64_t bytes) { return bytes * 3 / 2; }

// ---- the background ----

// An agent that is told of the end of a command in the background begins to work within this: it
// asks its model first (claude-background-task-ends).
constexpr Time speaks_after_end = 3s;

// ---- titles ----

// A title that changes within this of the session's last write is its own: Sway tells of it 20 to
// 70 ms after the write.
constexpr Time title_window = 500ms;
// A spinner turns once a second (Claude Code) or ten times (Codex), and the bridge tells that it
// turns once a second at the most.
constexpr Time title_spins = 2500ms;
// A title that has to be asked for (tmux tells none by itself) is asked for at so long a silence,
// and again while it lasts; and where it stands against what the terminal shows.
constexpr Time title_doubt = 400ms;
constexpr Time title_asked_again = 1s;
constexpr Time title_contradicted = 300ms;
// What it says of a wait has stood for so long, beside so long a silence. Claude Code 2.1.332's
// does not flicker between tools; its terminal is silent within 0.1 s of the change.
constexpr Time title_stands = 150ms;
constexpr Time title_silence = 150ms;
// Of an agent whose title says that it waits, so much unexplained output is work all the same.
constexpr Time work_spread_against_title = 2s;

// ---- start ----

// An agent may draw, pause and draw on for so long when it starts, and its terminal answers what it
// is asked then: Codex was seen to, for 17 s, on a busy machine (codex-slow-start).
constexpr Time start_up = 20s;
// What it sends by itself is taken for a habit only later than this: a start has messages of its
// own.
constexpr Time start_up_messages = start_up / 2;
// An agent that replaces itself in its work loads for so long before it draws.
constexpr Time load_time = 5s;

// ---- does it animate? ----

// A picture this soon after bytes were received may show them.
constexpr Time shows_received = 100ms;
// A verdict takes this much quiet, and these pictures in it: Claude Code draws seven a second at
// the least, Codex ten; with animations off, Claude Code one (a count of seconds, with gaps of 0.99
// s) or, while a tool runs, four, and Codex none.
constexpr Time quiet_for_verdict = 1500ms;
constexpr int animation_pictures = 5;
constexpr Time least_slow_gap = 500ms;
constexpr Time longest_slow_gap = 1250ms;
constexpr int looks_for_slow = 3;
// A dialog, say, may be drawn in several pictures, once.
constexpr int looks_for_proof = 2;
// Its period: nine of ten gaps between pictures are not longer, of so many at the least.
constexpr size_t gaps_for_period = 20;

// ---- what it does while it waits ----

constexpr int ticks_for_habit = 3;
constexpr Time longest_tick = 5s;
// Codex' title, while it asks: 1.001 s.
constexpr Time blink = 1s;
constexpr Time blink_tolerance = 100ms;
constexpr int blinks_for_asking = 2;
constexpr Time quiet_wait = 1500ms;  // in which one that blinks would have
// Processes that begin sooner after another than this are one burst; a start-up has several, at
// irregular times: two periods that are one differ by less than a quarter.
constexpr Time process_burst = 400ms;
constexpr int processes_for_habit = 4;
constexpr int regular_share = 4;
// After so many tools and messages at the end of its work it had nothing to say.
constexpr int vain_steps_for_habit = 2;

}  // namespace rule
}  // namespace ebpf_ai_monitor::judge
