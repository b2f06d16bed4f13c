// Runs one request: commands and probes at the same time, and the answer of docs/diagnose.md.
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
  // once, from the loop, when all have ended, even if there is nothing to run.
  void run(DiagnosticRequest request, std::function<void()> on_done);
  // Ends what is still running; the answer has what was recorded by then.
  void stop();
  std::vector<ProbeProgress> progress() const;
  size_t commands_done() const { return commands_.done(); }
  size_t commands_total() const { return commands_total_; }

  // `command_results` and `ebpf_results`; `refused` if something was refused. A refused item with a
  // command or a name also appears in its usual place, with its error. Can be called once.
  nlohmann::json answer();

 private:
  void one_done();

  EventLoop& loop_;
  CommandRunner commands_;
  std::unique_ptr<Engine> engine_;
  std::vector<ProbeResult> failed_;  // if there is no engine
  std::vector<Refused> refused_;
  size_t commands_total_ = 0;
  int pending_ = 0;
  std::function<void()> on_done_;
};

// Whether something in an answer was refused or failed.
bool has_fault(const nlohmann::json& answer);

// Whether anything was examined: a probe or a command has run.
bool has_run(const nlohmann::json& answer);

// The answer to a request that could not be run at all.
nlohmann::json refused_whole(const std::string& why);

// The form of events in an answer: an object for each, or rows of a table with named columns, which
// is a third as long: {"columns": […], "rows": [[…], …]}. "same" has what is the same in all of
// them. If an argument has the name of a field that every event has, it is called "data.NAME".
enum class EventForm { objects, rows };
nlohmann::json rows_of(const nlohmann::json& events);

// The answer in at most `bytes_max` bytes of JSON, printed with that `indent`. Errors, counts,
// summaries and aggregates stay longest; events and the output of commands are cut first. `cut`
// says so, and what was left out, and so does `events_left_out` of each program. Of the events,
// those that failed and the first of each kind stay, then the first and the last.
nlohmann::json fit(const nlohmann::json& answer, size_t bytes_max, int indent = -1,
                   EventForm form = EventForm::objects);

// The form of all JSON output: on one line, unless `indent` is 2; bytes that are not UTF-8 are
// replaced.
std::string dump(const nlohmann::json& value, int indent = -1);

}  // namespace ebpf_ai_monitor
