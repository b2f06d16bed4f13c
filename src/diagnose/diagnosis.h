// One request, run: commands and probes side by side, and the answer of docs/diagnose.md.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "diagnose/command_runner.h"
#include "diagnose/probe.h"
#include "diagnose/request.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

class Engine;
struct ProbeResult;

class Diagnosis {
 public:
  Diagnosis(EventLoop& loop, const CommandSettings& settings);
  ~Diagnosis();

  // All probes are armed, then the clock starts and the first command runs. `on_done` is called
  // once, from the loop, when all have ended; also if there is nothing to run.
  void run(DiagnosticRequest request, std::function<void()> on_done);
  // Ends what still runs; what was caught by then is in the answer.
  void stop();
  std::vector<ProbeProgress> progress() const;
  size_t commands_done() const { return commands_.done(); }
  size_t commands_total() const { return commands_total_; }

  // `command_results` and `ebpf_results`; `refused` where something was. What was refused and has a
  // command or a name stands in its place, too, with its error. Gives it once.
  nlohmann::json answer();

 private:
  void one_done();

  EventLoop& loop_;
  CommandRunner commands_;
  std::unique_ptr<Engine> engine_;
  std::vector<ProbeResult> failed_;  // without an engine
  std::vector<Refused> refused_;
  size_t commands_total_ = 0;
  int pending_ = 0;
  std::function<void()> on_done_;
};

// Whether something in an answer was refused or failed.
bool has_fault(const nlohmann::json& answer);

// Whether something has been looked at: a probe or a command that ran.
bool has_run(const nlohmann::json& answer);

// A request that could not be run at all, as an answer.
nlohmann::json refused_whole(const std::string& why);

// How events stand in an answer: an object each, or as rows of a table with named columns, which is
// a third as long: {"columns": […], "rows": [[…], …]}, with what is the same in all of them in
// "same". An argument that is called as something that every event has is "data.NAME".
enum class EventForm { objects, rows };
nlohmann::json rows_of(const nlohmann::json& events);

// The answer in at most `bytes_max` bytes of JSON, dumped with that `indent`. Faults, counts,
// summaries and aggregates stay longest, events and the output of commands go first; `cut` says
// that and what was left out, as does `events_left_out` of each program. Of events those that
// failed and the first of each kind are kept, then the first and the last.
nlohmann::json fit(const nlohmann::json& answer, size_t bytes_max, int indent = -1,
                   EventForm form = EventForm::objects);

// As all JSON is written here: on one line unless `indent` is 2; bytes that are no UTF-8 replaced.
std::string dump(const nlohmann::json& value, int indent = -1);

}  // namespace ebpf_ai_monitor
