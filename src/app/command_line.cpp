// The options of every subcommand. Only this file includes CLI11, which takes the compiler far
// longer than any subcommand.
#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "app/agent_table.h"
#include "app/commands.h"
#include "app/daemon_settings.h"

namespace ebpf_ai_monitor {
namespace {

const std::string with_commands =
    std::string("File with the table [commands] [") + config_file + "]";

// Prints the value of an option for people, without the names of types.
class Help : public CLI::Formatter {
 public:
  Help() {
    column_width(32);
    label("SUBCOMMAND", "COMMAND");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_option_text().empty() ? "" : " " + option->get_option_text();
  }
  // CLI11 2.1 writes two empty lines between groups.
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    return CLI::detail::find_and_replace(Formatter::make_help(app, std::move(name), mode), "\n\n\n",
                                         "\n\n");
  }
};

std::string check_pid(const std::string& text) {
  return CLI::Range(1, 1 << 22)(text).empty() ? "" : "'" + text + "' is not a process id";
}

auto one_of(std::vector<std::string> values) {
  return [values = std::move(values)](const std::string& text) {
    if (std::ranges::find(values, text) != values.end()) return std::string();
    return "'" + text + "' is not one of " + CLI::detail::join(values, ", ");
  };
}

auto from_to(int least, int most) {
  return [=](const std::string& text) {
    if (CLI::Range(least, most)(text).empty()) return std::string();
    return "'" + text + "' is not from " + std::to_string(least) + " to " + std::to_string(most);
  };
}

template <typename Value>
CLI::Option* add(CLI::App& command, const std::string& name, const std::string& value,
                 Value& variable, const std::string& help) {
  return command.add_option(name, variable, help)->option_text(value);
}

void example(CLI::App& command, const std::string& lines, const std::string& notes = "") {
  command.footer((lines.find('\n') == std::string::npos ? "Example:\n  " : "Examples:\n  ") +
                 CLI::detail::find_and_replace(lines, "\n", "\n  ") + notes);
}

constexpr const char* yes_or_no = "true|false";

void add_users(CLI::App& command, std::vector<std::string>& users, const std::string& help) {
  add(command, "--user", "NAME", users, help)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

void add_daemon(CLI::App& app, DaemonArguments& line) {
  add(app, "--config", "FILE", line.config,
      std::string("File with these options as keys [") + config_file + "]");
  add_users(app, line.users, "Watch only this user's agents; repeatable [every user]");
  add(app, "--processes", "NAMES", line.processes,
      "Watch only these agents, separated by commas [every known one]");
  add(app, "--wait-threshold", "MS", line.wait_threshold,
      "Milliseconds of silence that count as a wait, or auto [1000]");
  add(app, "--probes", "auto|fentry|tracepoint", line.probes,
      "Where the kernel programs watch terminals [auto]");
  add(app, "--log-level", "trace|debug|info|warn|error|off", line.log_level,
      "What goes into the log [info]");
  const auto notifications = [&](const std::string& name, const std::string& value, auto& variable,
                                 const std::string& help) {
    add(app, name, value, variable, help)->group("Notifications");
  };
  notifications("--notifications", yes_or_no, line.notifications,
                "Send desktop notifications [true]");
  notifications("--notify-after", "SECONDS", line.notify_after_s,
                "No notification at the end of work that took less time [3]");
  notifications("--remind-after", "SECONDS", line.remind_after_s,
                "Notify again if the user has not looked after this time; 0: never [0]");
  notifications("--urgent", yes_or_no, line.urgent, "Make Sway mark the window as urgent [false]");
  notifications("--urgent-questions", yes_or_no, line.urgent_questions,
                "Notify of questions with the urgency critical [false]");
  notifications("--keep-attention", "seen|answered", line.keep_attention,
                "An agent needs attention until it is seen, or answered [seen]");
  notifications("--notify-command", "PROGRAM", line.notify_command,
                "Run this program for each notification [none]");
  example(app,
          "sudo ebpf-ai-monitor daemon --user ada --log-level debug\n"
          "systemctl start ebpf-ai-monitor    # as a service");
}

void add_watch(CLI::App& command, WatchArguments& options) {
  CLI::Option* json = command.add_flag("--json", options.json, "Print JSON, one object per line");
  add(command, "--format", "table|waybar|text", options.format,
      "Print a table, lines for waybar, or lines of text [table]")
      ->check(one_of({"table", "waybar", "text"}))
      ->excludes(json);
  example(command, "ebpf-ai-monitor watch --format waybar");
}

void add_history(CLI::App& command, HistoryArguments& options) {
  add(command, "--since", "TIME", options.since, "How far back to look: 30min, 8h, 7d [24h]");
  add(command, "--directory", "DIRECTORY", options.directory,
      "Read the journal files in this directory [this machine's]");
  command.add_flag("--json", options.json, "Print one JSON object");
  example(command, "ebpf-ai-monitor history --since 8h");
}

void add_explain(CLI::App& command, ExplainArguments& options) {
  add(command, "pid", "", options.pid, "The agent, or any process of its session")
      ->required()
      ->check(check_pid);
  command.add_flag("--json", options.json, "Print one JSON object");
  example(command, "ebpf-ai-monitor explain 18976    # `status` shows the pids");
}

void add_record(CLI::App& command, RecordArguments& options) {
  auto* pid =
      add(command, "--pid", "PID", options.pid, "Record this running process, whatever its name")
          ->check(check_pid);
  add(command, "--agent", "NAME", options.agent, "Record the next agent of this name that starts")
      ->excludes(pid);
  add_users(command, options.users, "Record only this user's agents; repeatable [every user]");
  add(command, "--output", "FILE", options.output,
      "Write the trace to this new file; -: standard output (required)")
      ->required();
  example(command,
          "sudo ebpf-ai-monitor record --agent claude --output claude.jsonl\n"
          "sudo ebpf-ai-monitor record --pid 18976 --output claude.jsonl",
          "\n\nWithout --pid and --agent, it records the only agent that runs, or the next that "
          "starts.\n"
          "The recording ends when the agent exits, or with Ctrl-C. With sudo, the file belongs\n"
          "to the user who called sudo.");
}

void add_replay(CLI::App& command, ReplayArguments& options) {
  add(command, "trace", "", options.trace, "The trace; -: standard input")->required();
  command.add_flag("--json", options.json, "Print JSON, one object per line");
  add(command, "--wait-threshold", "MS", options.wait_threshold,
      "Milliseconds of silence that count as a wait, or auto [1000]");
  example(command, "ebpf-ai-monitor replay claude.jsonl");
}

void add_diagnose_run(CLI::App& command, DiagnoseRunArguments& options) {
  add(command, "file", "", options.file, "The request, in JSON; -: standard input")->required();
  command.add_flag("--json", options.json, "Print JSON even on a terminal");
  add(command, "--config", "FILE", options.config, with_commands);
  example(command, "sudo ebpf-ai-monitor diagnose run request.json");
}

void add_diagnose_trace(CLI::App& command, DiagnoseTraceArguments& options) {
  add(command, "targets", "", options.targets,
      "System calls, tracepoints, functions (kprobe:), returns (kretprobe:)")
      ->required();
  add(command, "--for", "SECONDS", options.seconds, "How long to trace: 1 to 300 [10]")
      ->check(from_to(1, 300));
  command.add_flag("--json", options.json, "Print JSON even on a terminal");
  const auto filter = [&](const std::string& name, const std::string& value, auto& variable,
                          const std::string& help) {
    add(command, name, value, variable, help)->group("Filters");
  };
  command.add_flag("--errors", options.errors, "Only what fails")->group("Filters");
  filter("--errno", "ERROR", options.error, "Only what fails with this error: EACCES");
  filter("--return", "VALUE", options.result, "Only what returns this: 42, \"< 0\"");
  filter("--slower", "MICROSECONDS", options.latency, "Only what takes at least this long");
  filter("--arg", "ARGUMENT", options.arguments,
         "Only with this argument: filename='/etc/*', port=5432");
  filter("--pid", "PID", options.pid, "Only this process");
  filter("--tid", "TID", options.tid, "Only this thread");
  filter("--ppid", "PID", options.ppid, "Only the children of this process");
  filter("--comm", "NAME", options.comm, "Only threads or processes of this name");
  filter("--uid", "UID", options.uid, "Only processes of this user");
  filter("--cgroup", "PATH", options.cgroup, "Only this cgroup, as in /proc/PID/cgroup");
  filter("--unit", "UNIT", options.unit, "Only this unit of systemd");
  filter("--container", "NAME", options.container, "Only this container, by its id or name");
  example(command,
          "sudo ebpf-ai-monitor diagnose trace syscall:connect --errors --for 20\n"
          "sudo ebpf-ai-monitor diagnose trace kretprobe:vfs_read --slower 1000");
}

void add_diagnose_ask(CLI::App& command, DiagnoseAskArguments& options) {
  add(command, "question", "", options.question, "What is wrong, in your words")->required();
  add(command, "--endpoint", "URL", options.endpoint,
      "Base URL of an API like OpenAI's [$NANNYAPI_ENDPOINT]")
      ->envname("NANNYAPI_ENDPOINT");
  add(command, "--model", "NAME", options.model, "The model's name there [$NANNYAPI_MODEL]")
      ->envname("NANNYAPI_MODEL");
  add(command, "--key-file", "FILE", options.key_file,
      "File with the API key, readable only by you (or $NANNYAPI_KEY: the key)");
  command.add_flag("--insecure", options.insecure,
                   "Allow http to another machine: the results go there unencrypted");
  add(command, "--transcript", "FILE", options.transcript,
      "Write every message to this new file, as JSON Lines");
  command.add_flag("--json", options.json, "Print resolution and answers as one JSON object");
  add(command, "--config", "FILE", options.config, with_commands);
  add(command, "--turns", "NUMBER", options.turns, "Messages of the model: 1 to 64 [8]")
      ->check(from_to(1, 64))
      ->group("Limits");
  add(command, "--time", "SECONDS", options.seconds, "Time for everything: 1 to 86400 [900]")
      ->check(from_to(1, 86400))
      ->group("Limits");
  add(command, "--size", "BYTES", options.bytes,
      "Bytes of results for the model: 4096 to 67108864 [262144]")
      ->check(from_to(4096, 64 * 1024 * 1024))
      ->group("Limits");
  example(command,
          "sudo -E ebpf-ai-monitor diagnose ask \"The application cannot reach its database\"");
}

// The results of parsing; they outlive it.
struct Arguments {
  DaemonArguments daemon;
  WatchArguments watch;
  HistoryArguments history;
  ExplainArguments explain;
  RecordArguments record;
  ReplayArguments replay;
  DiagnoseRunArguments diagnose_run;
  DiagnoseTraceArguments diagnose_trace;
  DiagnoseAskArguments diagnose_ask;
  bool json = false;  // of doctor, status and diagnose targets
  std::string pattern = "*";
  std::string which = "next";         // of focus
  std::optional<std::string> config;  // of mcp
};

// In the form WHAT: WHY.
std::string in_words(const CLI::ParseError& error, const CLI::App& app) {
  // CLI11 2.3 lists them in reverse order.
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    return CLI::detail::join(app.remaining(true), " ") + ": no such command, option or argument";
  std::string said = error.what();
  const size_t colon = std::min(said.size(), said.find(": "));
  const std::string before = said.substr(0, colon);
  const std::string after = said.substr(std::min(said.size(), colon + 2));
  if (before == "Could not convert")
    return CLI::detail::find_and_replace(after, " = ", ": '") + "' is not a valid value";
  if (error.get_name() == "ArgumentMismatch") return before + ": needs a value";
  if (error.get_name() == "RequiredError")
    return CLI::detail::find_and_replace(said, " is required", ": missing");
  if (error.get_name() == "ExcludesError")
    return CLI::detail::find_and_replace(said, " excludes ", ": not together with ");
  return said;
}

// The subcommands that the command line names.
std::string path_of(const CLI::App& app) {
  const auto named = app.get_subcommands();
  return app.get_name() + (named.empty() ? "" : " " + path_of(*named.front()));
}

// Runs a command that needs the table of agents.
template <typename Run>
int with_agents(Run run) {
  if (const auto loaded = load_agents(); !loaded) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", loaded.error().message.c_str());
    return 2;
  }
  return run();
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app{"Shows which AI coding agents work and which ones wait for their users.",
               "ebpf-ai-monitor"};
  app.formatter(std::make_shared<Help>());
  app.set_help_flag("-h,--help", "Show this help");
  app.set_version_flag("--version", "ebpf-ai-monitor " EBPF_AI_MONITOR_VERSION, "Show the version");
  Arguments arguments;
  int exit_status = 0;
  const char* group = "";
  const auto add_command = [&](CLI::App& parent, const char* name, const char* help,
                               auto run) -> CLI::App& {
    CLI::App* command = parent.add_subcommand(name, help)->group(group);
    command->callback([&exit_status, run] { exit_status = run(); });
    return *command;
  };
  // A missing subcommand is refused by hand, here and below, because CLI11 would also call a
  // misspelt one missing.
  const auto demand_subcommand = [](CLI::App& command) {
    if (command.get_subcommands().empty()) throw CLI::RequiredError("command");
  };

  app.require_subcommand(0, 1);
  // Hidden: only the daemon starts it.
  add_command(app, "bridge", "", [] { return with_agents(run_bridge_command); });
  group = "Your agents";
  CLI::App& status = add_command(app, "status", "Show what your agents do now",
                                 [&] { return run_status_command(arguments.json); });
  status.add_flag("--json", arguments.json, "Print one JSON object");
  example(status, "ebpf-ai-monitor status");
  add_watch(
      add_command(app, "watch", "Show what your agents do, and every change; also for panels",
                  [&] { return with_agents([&] { return run_watch_command(arguments.watch); }); }),
      arguments.watch);
  add_history(
      add_command(
          app, "history", "Show how long your agents worked and waited for you",
          [&] { return with_agents([&] { return run_history_command(arguments.history); }); }),
      arguments.history);
  CLI::App& focus =
      add_command(app, "focus", "Go to the unseen agent that needs you most, or to a given one",
                  [&] { return run_focus_command(arguments.which); });
  add(focus, "agent", "", arguments.which,
      "next, or the pid of any process of an agent's session [next]")
      ->check([](const std::string& which) {
        return which == "next" || check_pid(which).empty()
                   ? std::string()
                   : "'" + which + "' is neither next nor a process id";
      });
  example(focus,
          "ebpf-ai-monitor focus\n"
          "bindsym $mod+a exec ebpf-ai-monitor focus    # in Sway's configuration");

  group = "The service";
  add_daemon(add_command(
                 app, "daemon", "Watch the agents of this machine's users",
                 [&] { return with_agents([&] { return run_daemon_command(arguments.daemon); }); }),
             arguments.daemon);
  CLI::App& doctor =
      add_command(app, "doctor", "Check everything that the program needs on this machine",
                  [&] { return run_doctor_command(arguments.json); });
  doctor.add_flag("--json", arguments.json, "Print one JSON object");
  example(doctor, "sudo ebpf-ai-monitor doctor    # only root can check everything");
  example(add_command(app, "demo", "Watch a simulated agent: needs neither Sway nor an agent",
                      run_demo_command),
          "sudo ebpf-ai-monitor demo");

  group = "If a judgement is wrong";
  add_explain(add_command(app, "explain", "Show why the daemon says that an agent works or waits",
                          [&] { return run_explain_command(arguments.explain); }),
              arguments.explain);
  add_record(add_command(
                 app, "record", "Record an agent as a trace: times and sizes, no content",
                 [&] { return with_agents([&] { return run_record_command(arguments.record); }); }),
             arguments.record);
  add_replay(add_command(app, "replay", "Judge a recorded trace as the daemon would",
                         [&] { return run_replay_command(arguments.replay); }),
             arguments.replay);

  group = "Diagnosis";
  CLI::App* diagnose =
      app.add_subcommand("diagnose", "Examine this machine with kernel probes and commands");
  diagnose->group(group);
  diagnose->require_subcommand(0, 1);
  diagnose->callback([&] { demand_subcommand(*diagnose); });
  example(*diagnose, "sudo ebpf-ai-monitor diagnose trace syscall:openat --errors");
  CLI::App& mcp =
      add_command(app, "mcp", "Offer probes and commands to an AI agent: MCP on stdin and stdout",
                  [&] { return run_mcp_command(arguments.config); });
  add(mcp, "--config", "FILE", arguments.config, with_commands);
  example(mcp, "claude mcp add kernel -- sudo -n ebpf-ai-monitor mcp");

  group = "Commands";
  add_diagnose_trace(
      add_command(*diagnose, "trace", "Trace targets for some seconds, and show what happened",
                  [&] { return run_diagnose_trace_command(arguments.diagnose_trace); }),
      arguments.diagnose_trace);
  CLI::App& targets =
      add_command(*diagnose, "targets", "Show what you can trace on this kernel, with arguments",
                  [&] { return run_diagnose_targets_command(arguments.pattern, arguments.json); });
  add(targets, "pattern", "", arguments.pattern, "Part of a name; with * and ? the whole name");
  targets.add_flag("--json", arguments.json, "Print a JSON array");
  example(targets, "sudo ebpf-ai-monitor diagnose targets 'tcp_*'");
  add_diagnose_run(add_command(*diagnose, "run", "Run the probes and commands of a request in JSON",
                               [&] { return run_diagnose_run_command(arguments.diagnose_run); }),
                   arguments.diagnose_run);
  add_diagnose_ask(add_command(*diagnose, "ask", "Let a model find out what is wrong",
                               [&] { return run_diagnose_ask_command(arguments.diagnose_ask); }),
                   arguments.diagnose_ask);

  try {
    app.parse(argc, argv);
    demand_subcommand(app);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s; see %s --help\n", in_words(error, app).c_str(),
                 path_of(app).c_str());
    return 2;
  }
  return exit_status;
}

}  // namespace ebpf_ai_monitor
