// The options of every subcommand. CLI11 is included here alone: it takes the compiler far longer
// than any subcommand does.
#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/agent_table.h"
#include "app/commands.h"
#include "app/daemon_settings.h"

namespace ebpf_ai_monitor {
namespace {

const std::string with_commands =
    std::string("TOML file, of which [commands] counts [") + config_file + "]";

void add_users(CLI::App& command, std::vector<std::string>& users, const std::string& help) {
  command.add_option("--user", users, help)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

void add_daemon(CLI::App& app, DaemonArguments& line) {
  app.add_option("--config", line.config,
                 std::string("TOML file with these options as keys [") + config_file + "]");
  add_users(app, line.users, "Watch only this user's agents (repeatable) [all users]");
  app.add_option("--processes", line.processes,
                 "Names of agents, separated by commas [every agent that is known]");
  app.add_option("--wait-threshold", line.wait_threshold,
                 "Silence of this many milliseconds is a wait; auto: sooner where an agent's "
                 "animation allows it [1000]");
  app.add_option("--notifications", line.notifications,
                 "Whether to send desktop notifications: true or false [true]");
  app.add_option("--notify-after", line.notify_after_s,
                 "Work shorter than this many seconds ends without a notification [3]");
  app.add_option("--remind-after", line.remind_after_s,
                 "Tell again after this many seconds, if nobody has come, and after twice that; "
                 "0: never [0]");
  app.add_option("--urgent", line.urgent,
                 "Whether to have Sway mark the window as urgent: true or false [false]");
  app.add_option("--urgent-questions", line.urgent_questions,
                 "Whether questions are told with urgency critical: true or false [false]");
  app.add_option("--keep-attention", line.keep_attention,
                 "Until when an agent needs attention: seen or answered [seen]");
  app.add_option("--probes", line.probes,
                 "Where terminals are watched: auto, tracepoint or fentry [auto]");
  app.add_option("--log-level", line.log_level, "trace, debug, info, warn, error or off [info]");
}

void add_watch(CLI::App& command, WatchArguments& options) {
  CLI::Option* json = command.add_flag("--json", options.json, "A JSON object a line");
  command
      .add_option("--format", options.format,
                  "waybar: a line for its custom module; text: one for a status line")
      ->check(CLI::IsMember({"table", "waybar", "text"}))
      ->capture_default_str()
      ->excludes(json);
}

void add_explain(CLI::App& command, ExplainArguments& options) {
  command.add_option("pid", options.pid, "The agent, or any process of its session")
      ->required()
      ->check(CLI::Range(1, 1 << 22));
  command.add_flag("--json", options.json, "As one JSON object");
}

void add_record(CLI::App& command, RecordArguments& options) {
  auto* pid =
      command.add_option("--pid", options.pid, "Record this running process, whatever its name")
          ->check(CLI::Range(1, 1 << 22));
  command.add_option("--agent", options.agent, "Record the next agent of this name that starts")
      ->excludes(pid);
  add_users(command, options.users, "Record only this user's agents (repeatable) [all users]");
  command.add_option("--output", options.output, "A new file for the trace; - for stdout")
      ->required();
  command.footer(
      "With neither --pid nor --agent: the only agent that runs, or the next that starts.\n"
      "Ends with the session, or at Ctrl-C. With sudo the file is made as the user who called it.");
}

void add_replay(CLI::App& command, ReplayArguments& options) {
  command.add_option("trace", options.trace, "The trace, JSON Lines; - for stdin")->required();
  command.add_flag("--json", options.json, "One JSON object a line");
  command
      .add_option("--wait-threshold", options.wait_threshold,
                  "Silence of this many milliseconds is a wait, or auto")
      ->capture_default_str();
}

void add_diagnose_run(CLI::App& command, DiagnoseRunArguments& options) {
  command.add_option("file", options.file, "The request, JSON; - for standard input")->required();
  command.add_flag("--json", options.json, "The answer as JSON on a terminal, too");
  command.add_option("--config", options.config, with_commands);
}

void add_diagnose_trace(CLI::App& command, DiagnoseTraceArguments& options) {
  command
      .add_option(
          "targets", options.targets,
          "syscall:connect, sched/sched_process_exit, kprobe:tcp_connect, kretprobe:vfs_read")
      ->required();
  command.add_option("--for", options.seconds, "Seconds")
      ->check(CLI::Range(1, 300))
      ->capture_default_str();
  command.add_flag("--errors", options.errors, "Only what fails");
  command.add_option("--errno", options.error, "Only what fails so: EACCES");
  command.add_option("--return", options.result, "Only what returns so: \"< 0\", 42");
  command.add_option("--slower", options.latency, "Only what takes at least so many microseconds");
  command.add_option("--pid", options.pid, "Only this process");
  command.add_option("--tid", options.tid, "Only this thread");
  command.add_option("--ppid", options.ppid, "Only the children of this process");
  command.add_option("--comm", options.comm, "Only threads or processes of this name");
  command.add_option("--uid", options.uid, "Only this user's");
  command.add_option("--cgroup", options.cgroup, "Only this cgroup's, as /proc/PID/cgroup has it");
  command.add_option("--unit", options.unit, "Only this unit's of systemd");
  command.add_option("--container", options.container, "Only this container's: its id");
  command.add_option("--arg", options.arguments,
                     "Only where an argument is so: filename='/etc/*', port=5432");
  command.add_flag("--json", options.json, "The answer as JSON");
}

void add_diagnose_ask(CLI::App& command, DiagnoseAskArguments& options) {
  command.add_option("question", options.question, "What is wrong, in your words")->required();
  command.add_option("--endpoint", options.endpoint, "Base URL of an OpenAI-compatible API")
      ->envname("NANNYAPI_ENDPOINT");
  command
      .add_option("--model", options.model,
                  "Its name there; tensorzero::function_name::... as well")
      ->envname("NANNYAPI_MODEL");
  command.add_option("--key-file", options.key_file, "File with the key, open to nobody else");
  command.add_option("--turns", options.turns, "Messages that the model may write")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_option("--time", options.seconds, "Seconds for all of it")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  command.add_option("--size", options.bytes, "Bytes of results that the model is sent")
      ->check(CLI::Range(4096, 64 * 1024 * 1024))
      ->capture_default_str();
  command.add_option("--transcript", options.transcript,
                     "Write every message to this file, JSON Lines");
  command.add_flag("--insecure", options.insecure,
                   "Send what this machine says to an http endpoint elsewhere");
  command.add_flag("--json", options.json, "Resolution and answers as one JSON object");
  command.add_option("--config", options.config, with_commands);
}

// What is parsed into; it outlives the parsing.
struct Arguments {
  DaemonArguments daemon;
  WatchArguments watch;
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

// Of what needs the table of agents.
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
  CLI::App app{
      "Knows, from the kernel alone, which AI coding agent works and which one waits for its "
      "user."};
  app.set_version_flag("--version", "ebpf-ai-monitor " EBPF_AI_MONITOR_VERSION);
  Arguments arguments;
  int exit_status = 0;
  const auto add = [&](CLI::App& parent, const char* name, const char* help,
                       auto run) -> CLI::App& {
    CLI::App* command = parent.add_subcommand(name, help);
    command->callback([&exit_status, run] { exit_status = run(); });
    return *command;
  };
  // None is refused by hand, here and below: CLI11 would say so of a misspelt one, too.
  const auto demand_subcommand = [](CLI::App& command, const char* help) {
    if (command.get_subcommands().empty())
      throw CLI::RequiredError(std::string("A subcommand (see ") + help + ")");
  };

  app.require_subcommand(0, 1);
  add_daemon(add(app, "daemon", "Watch the agents of this machine's users",
                 [&] { return with_agents([&] { return run_daemon_command(arguments.daemon); }); }),
             arguments.daemon);
  // Not for people: without a daemon it has nothing to do.
  add(app, "bridge", "", [] { return with_agents(run_bridge_command); }).group("");
  add(app, "doctor", "Whether everything is there that is needed here", [&] {
    return run_doctor_command(arguments.json);
  }).add_flag("--json", arguments.json, "As one JSON object");
  add(app, "status", "What your agents do now, as the daemon knows it", [&] {
    return run_status_command(arguments.json);
  }).add_flag("--json", arguments.json, "As one JSON object");
  add_watch(add(app, "watch", "Print your windows' badges at once and at every change, for a panel",
                [&] { return with_agents([&] { return run_watch_command(arguments.watch); }); }),
            arguments.watch);
  add(app, "focus", "Go to the neediest agent that you do not see, or to one by its pid",
      [&] { return run_focus_command(arguments.which); })
      .add_option("agent", arguments.which, "next, or the pid of any process of its session")
      ->capture_default_str()
      ->check([](const std::string& which) {
        return which == "next" ? std::string() : CLI::Range(1, 1 << 22)(which);
      });
  add_explain(add(app, "explain", "What the judge knows of an agent, and why it says what it does",
                  [&] { return run_explain_command(arguments.explain); }),
              arguments.explain);
  add_record(add(app, "record",
                 "Write what the kernel sees of one agent as a trace: times and sizes, no content",
                 [&] { return with_agents([&] { return run_record_command(arguments.record); }); }),
             arguments.record);
  add_replay(add(app, "replay", "Run a recorded trace through the judge",
                 [&] { return run_replay_command(arguments.replay); }),
             arguments.replay);
  add(app, "demo", "Watch a built-in stand-in for an agent: needs no Sway and no agent",
      run_demo_command);

  CLI::App* diagnose =
      app.add_subcommand("diagnose", "Look into this machine with kernel probes and commands");
  diagnose->require_subcommand(0, 1);
  diagnose->callback([&] { demand_subcommand(*diagnose, "diagnose --help"); });
  add_diagnose_run(add(*diagnose, "run", "Run a request's commands and probes, print the answer",
                       [&] { return run_diagnose_run_command(arguments.diagnose_run); }),
                   arguments.diagnose_run);
  add_diagnose_trace(add(*diagnose, "trace", "Trace targets for some seconds, print what was seen",
                         [&] { return run_diagnose_trace_command(arguments.diagnose_trace); }),
                     arguments.diagnose_trace);
  CLI::App& targets =
      add(*diagnose, "targets", "What this kernel lets one trace, with arguments",
          [&] { return run_diagnose_targets_command(arguments.pattern, arguments.json); });
  targets.add_option("pattern", arguments.pattern, "Part of a name; with * and ? the whole");
  targets.add_flag("--json", arguments.json, "As a JSON array");
  add_diagnose_ask(add(*diagnose, "ask",
                       "Let a model find out what is wrong. Its key: NANNYAPI_KEY or --key-file",
                       [&] { return run_diagnose_ask_command(arguments.diagnose_ask); }),
                   arguments.diagnose_ask);
  add(app, "mcp",
      "Serve kernel probes and commands to an AI agent: MCP on standard input and output",
      [&] { return run_mcp_command(arguments.config); })
      .add_option("--config", arguments.config, with_commands);

  try {
    app.parse(argc, argv);
    demand_subcommand(app, "--help");
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", error.what());
    return 2;
  }
  return exit_status;
}

}  // namespace ebpf_ai_monitor
