// Every constant of the judge, each with what it is based on. Unless a comment says otherwise, it
// was measured with Claude Code 2.1.197 and Codex 0.169.0 at work: tests/traces/claude.jsonl,
// codex.jsonl, and for agents that do not animate *-animation-off.jsonl.
#pragma once

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

// What a user can set.
struct Rules {
  // A silence of this length is a wait. `--wait-threshold`.
  Time wait_threshold = 1s;
  // `--wait-threshold auto`: if an animation has shown its period, `silent_periods` of it are
  // enough.
  bool adaptive = false;
};

namespace rule {

// ---- drawing ----

// Output is steady if it comes no longer than this after the output before it: twice the longest
// gap that an animation was seen to make, 0.36 s (Claude Code). A clock or a blinking title, once a
// second, is not steady: it neither prolongs work nor begins it.
constexpr Time steady_gap = 750ms;
// If something ticks while the agent waits, a tick may come this soon after its work. For such
// agents, the limit is little more than the longest gap of an animation.
constexpr Time steady_gap_of_ticking = 400ms;
// The same for an agent whose animation is known to be this fast: then anything slower is a blink,
// such as the dot in Claude Code's permission dialog, every 0.6 s
// (claude-permission-dialog-blinks).
constexpr Time fast_period = 200ms;
// A blink: this many successive gaps between frames (`gaps_for_beat` are enough during a wait
// without input). They differ from the first gap by at most its tenth (`blink_share`), and the
// sizes of the frames differ by at most `blink_bytes`. The work before it drew at least
// `fast_before_blink` fast frames.
constexpr int gaps_for_blink = 3;
constexpr int gaps_for_beat = 2;
constexpr int blink_share = 10;
constexpr int64_t blink_bytes = 8;
constexpr int fast_before_blink = 1;
// Writes this close together are one frame: twice the interval in which the kernel programs
// coalesce (output_window.h).
constexpr Time frame = 100ms;
// Work is at least this many unexplained writes, spread over at least this time. A repaint for
// another reason (a clock, a blink) is shorter or sparser.
constexpr int work_writes = 3;
constexpr Time work_spread = 250ms;
// If the agent also ticks while it waits (a clock: once a second), work is this many writes in less
// than a tick.
constexpr Time clock_tick = 950ms;

// ---- input ----

// Output this soon after input is its echo. The slowest echo that was measured came after 0.15 s.
constexpr Time echo_window = 300ms;
// On a busy machine it may come this late, but then it is the first frame after the input: Copilot
// CLI took 0.6 s (copilot-busy).
constexpr Time late_echo = 1s;
// Output this soon after SIGWINCH is the repaint (claude-resizing, codex-resizing).
constexpr Time repaint_window = 500ms;
// A key is one or two bytes; reports of the mouse and of the focus, and pastes, are longer.
constexpr int64_t key_bytes = 2;
// A key is isolated if no other key came this soon before it: Esc usually is, but not the Enter of
// a prompt.
constexpr Time isolated_key = 2s;

// ---- silence ----

// `auto`: a silence of this many periods of the animation is a wait.
constexpr double silent_periods = 2.75;
// `auto`: the shortest silence that is ever enough: 1.4 times the longest gap measured, 0.36 s.
constexpr Time least_silence = 500ms;
// A silence of this many of the longest gaps of its latest work is a wait. The gaps of Claude Code
// with reduced motion are 0.99 s, and 1.08 s on a busy machine.
constexpr double slow_periods = 1.5;
// If only isolated writes have come, the last of them must be at least as old as the threshold
// divided by this, a time in which an animation would have drawn again; or as old as
// `steady_gap_of_ticking`, if that is less.
constexpr int isolated_write_share = 4;
// After this time, a session that had no time to draw is looked at again; but not endlessly,
// because Qwen Code's node has a thread that runs even while it waits (qwen-busy).
constexpr Time busy_look = 500ms;
constexpr int busy_looks = 2;
// If a wait began although the agent was busy, and lasts for this long, it is busy at rest. A
// shorter one may have been none: on a busy machine, Copilot CLI got no processor for 1.6 s.
constexpr Time busy_wait = 3s;
// For an agent without an animation, a silence of this many thresholds is a wait: the pauses of a
// stream are shorter, and so are the gaps of Claude Code's count of seconds, with reduced motion
// (0.99 s).
constexpr double patience_without_animation = 2.5;
// The same while the agent must still say something: a tool has ended, or it has sent something by
// itself. And the same if a process that it started continues while it draws: probably a server.
constexpr double step_patience = 30;
// The same while a process runs that it started last, if it has drawn nothing since: a tool.
constexpr double tool_patience = 120;
// If it has paused during its work before, a wait is a silence of this many such pauses.
constexpr double longer_than_pause = 1.25;
// A request after which no frame comes in this time will not be answered.
constexpr Time unanswered_limit = 10min;
// Output of this size is more than the echo of a typed key, which has 38 to 81 bytes. What Claude
// Code draws after Escape has 558 (claude-animation-off-few-pictures).
constexpr int64_t repaint_bytes = 256;

// ---- requests, of agents without an animation ----

// A key has an effect if a message leaves this soon after it (measured: 8 to 50 ms), and if the
// message is larger than a keep-alive (8 and 32 bytes; an answer to a dialog has 45).
constexpr Time act_window = 100ms;
constexpr int64_t act_bytes = 40;
// A request to a model may leave later (0.32 s) but is larger (910 bytes and more).
constexpr Time request_window = 400ms;
constexpr int64_t request_bytes = 512;
// A message of this size is a request whatever the input was: a key may be read together with a
// report of the terminal, and the message may leave late on a busy machine (0.79 s). Claude Code's
// first request has 56 KB, Qwen Code's has 88 KB.
constexpr int64_t whole_request_bytes = int64_t{16} * 1024;
constexpr Time whole_request_window = 1s;
// An animation begins sooner than this after a request; the words of a model come later.
constexpr Time late_answer = 1s;
// A session that draws this slowly after a request works: Claude Code with reduced motion draws
// every 0.96 s. There must be at least this many such frames, and fewer faster ones.
constexpr int slow_frames = 2;
constexpr int fast_frames = 3;
constexpr Time slow_since_request = 1400ms;
// A request contains the whole conversation: a message that is more than this many times smaller
// than the request that began the work asks the model for nothing.
constexpr int64_t least_share_of_request = 4;
// The last message of its work leaves this soon after its last frame, or before it: Codex with its
// animations off sends the same 235 bytes 20 to 80 ms after the end of each turn, and at no other
// time.
constexpr Time last_message = 300ms;
// A message that is this much larger than the largest one that it sends by itself (telemetry, for
// example) is none of those.
constexpr int64_t clearly_larger(int64_t bytes) { return bytes * 3 / 2; }

// ---- the background ----

// An agent that learns of the end of a command in the background begins to work within this time:
// it asks its model first (claude-background-task-ends).
constexpr Time works_after_end = 3s;

// ---- titles ----

// A title that changes this soon after the session's last write is the session's own: Sway reports
// it 20 to 70 ms after the write.
constexpr Time title_window = 500ms;
// A title with a spinner says work for this long after its last report: a spinner turns once a
// second (Claude Code) or ten times (Codex), and the bridge reports this at most once a second.
constexpr Time title_spins = 2500ms;
// tmux does not report titles, so they must be asked for: after a silence of `title_doubt`, and
// then every `title_asked_again` as long as it lasts; and every `title_contradicted` while the
// title contradicts what the terminal shows.
constexpr Time title_doubt = 400ms;
constexpr Time title_asked_again = 1s;
constexpr Time title_contradicted = 300ms;
// A title that shows a wait counts after it has stood for this long, with a silence of this length.
// The title of Claude Code 2.1.332 does not flicker between tools, and its terminal is silent
// within 0.1 s of the change.
constexpr Time title_stands = 150ms;
constexpr Time title_silence = 150ms;
// If the title shows a wait and the session file does not, the file has this long to show it, too:
// it is at most 0.3 s later than the title, and more exact. On a busy machine, the title of Claude
// Code 2.1.332 said that it had finished, and its file then said that it asked.
constexpr Time file_settles = 1s;
// If an agent's title says that it waits, this much unexplained output is work nevertheless.
constexpr Time work_spread_against_title = 2s;

// ---- start ----

// When an agent starts, it may draw, pause and draw again for this long, and its terminal answers
// its queries in this time: Codex did so for 17 s, on a busy machine (codex-slow-start).
constexpr Time start_up = 20s;
// Only after this time is something that it sends by itself taken for a habit: a start has messages
// of its own.
constexpr Time start_up_messages = start_up / 2;
// An agent that replaces itself during its work may load for this long before it draws.
constexpr Time load_time = 5s;

// ---- does it animate? ----

// A frame this soon after bytes were received may show these bytes.
constexpr Time shows_received = 100ms;
// A verdict needs this much time without received bytes, and this many frames in it. Claude Code
// draws at least seven a second, Codex ten. With animations off, Claude Code draws one (a count of
// seconds, with gaps of 0.99 s) or, while a tool runs, four; Codex draws none.
constexpr Time quiet_for_verdict = 1500ms;
constexpr int animation_frames = 5;
constexpr Time least_slow_gap = 500ms;
constexpr Time longest_slow_gap = 1250ms;
constexpr int looks_for_slow = 3;
// One look is not enough: a dialog, for example, may be drawn in several frames, once.
constexpr int looks_for_proof = 2;
// Its period: nine of ten gaps between frames are no longer; it takes at least this many gaps.
constexpr size_t gaps_for_period = 20;

// ---- what it does while it waits ----

constexpr int ticks_for_habit = 3;
constexpr Time longest_tick = 5s;
// Codex's title while it asks: 1.001 s.
constexpr Time blink = 1s;
constexpr Time blink_tolerance = 100ms;
constexpr int blinks_for_asking = 2;
constexpr Time quiet_wait = 1500ms;  // a time in which a session that blinks would have drawn
// Processes that start this soon after one another are one burst. A start-up has several bursts, at
// irregular times: two periods count as equal if they differ by less than a quarter.
constexpr Time process_burst = 400ms;
constexpr int processes_for_habit = 4;
constexpr int regular_share = 4;
// After this many tools and messages at the end of its work, it drew nothing more.
constexpr int silent_steps_for_habit = 2;

}  // namespace rule
}  // namespace ebpf_ai_monitor::judge
