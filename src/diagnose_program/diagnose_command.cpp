#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/commands.h"
#include "app/daemon_settings.h"
#include "core/text.h"
#include "diagnose/ask.h"
#include "diagnose/diagnosis.h"
#include "diagnose/report.h"
#include "diagnose/target.h"
#include "diagnose/target_list.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

constexpr auto progress_every = std::chrono::milliseconds(500);
constexpr size_t answer_bytes_max = 256UL * 1024;
constexpr size_t key_bytes_max = 8192;

int complain(const std::string& why, int status) {
  std::fprintf(stderr, "ebpf-ai-monitor: %s\n", printable_lines(why).c_str());
  return status;
}

Result<CommandSettings> settings_of(const std::optional<std::string>& config) {
  DaemonSettings settings;
  if (config || std::filesystem::exists(config_file)) {
    if (auto status = read_config(config.value_or(config_file), settings); !status)
      return tl::make_unexpected(status.error());
  }
  return settings.commands;
}

// The whole file. The error names the file, even if it has more than `bytes_max`.
Result<std::string> read_all(const std::string& path, size_t bytes_max) {
  UniqueFd file;
  if (path != "-") file = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  const int fd = path == "-" ? STDIN_FILENO : file.get();
  if (fd < 0) return fail_errno("cannot open " + path);
  std::string content;
  std::array<char, 65536> block;
  while (true) {
    const ssize_t got = read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read " + path);
    if (got == 0) return content;
    content.append(block.data(), static_cast<size_t>(got));
    if (content.size() > bytes_max)
      return fail(path + " has more than " + std::to_string(bytes_max) + " bytes");
  }
}

// On a terminal, a line for each probe, which is overwritten each time.
class ProgressLines {
 public:
  void show(const Diagnosis& diagnosis) {
    if (isatty(STDERR_FILENO) == 0) return;
    std::string text;
    if (lines_ > 0) text = "\x1b[" + std::to_string(lines_) + "A";
    lines_ = 0;
    const auto line = [&](const std::string& words) {
      text += "\r\x1b[K" + words + "\n";
      ++lines_;
    };
    for (const ProbeProgress& probe : diagnosis.progress()) {
      std::array<char, 160> words{};
      std::snprintf(words.data(), words.size(), "%-32.32s %5.1f of %.0f s  %lu events%s",
                    printable_lines(probe.name).c_str(), probe.elapsed_s, probe.duration_s,
                    probe.event_count,
                    probe.failed    ? ", failed"
                    : probe.running ? ""
                                    : ", done");
      line(words.data());
    }
    if (diagnosis.commands_total() > 0)
      line(std::to_string(diagnosis.commands_done()) + " of " +
           std::to_string(diagnosis.commands_total()) + " commands done");
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  }

 private:
  int lines_ = 0;
};

// The loop, and what Ctrl-C ends: a running request, and every wait.
class Foreground {
 public:
  explicit Foreground(CommandSettings settings)
      : settings_(std::move(settings)),
        on_interrupt_(loop_.add_signal(SIGINT, [this] { interrupt(); })),
        on_terminate_(loop_.add_signal(SIGTERM, [this] { interrupt(); })) {
    // If nobody reads the output, no probe is needed: EPOLLERR comes when a pipe has lost its
    // reader.
    struct stat out {};
    if (fstat(STDOUT_FILENO, &out) == 0 && (S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode)))
      on_reader_gone_ = loop_.add_io(STDOUT_FILENO, 0, [this](uint32_t) {
        on_reader_gone_.reset();
        interrupt();
      });
  }

  const CommandSettings& settings() const { return settings_; }
  bool interrupted() const { return interrupted_; }

  using Clock = std::chrono::steady_clock;

  json run(DiagnosticRequest request, Clock::time_point deadline = Clock::time_point::max()) {
    Diagnosis diagnosis(loop_, settings_);
    running_ = &diagnosis;
    bool done = false;
    ProgressLines lines;
    diagnosis.run(std::move(request), [&] { done = true; });
    tell_armed(diagnosis);
    if (interrupted_) diagnosis.stop();
    while (!done) {
      loop_.run_once(progress_every);
      lines.show(diagnosis);
      if (Clock::now() >= deadline) diagnosis.stop();
    }
    running_ = nullptr;
    return diagnosis.answer();
  }

  // False once Ctrl-C was pressed.
  bool wait(std::chrono::milliseconds time) {
    const Nanoseconds end = monotonic_now() + time;
    do {
      loop_.run_once(std::max(Nanoseconds(0), end - monotonic_now()));
    } while (!interrupted_ && monotonic_now() < end);
    return !interrupted_;
  }

 private:
  static void tell_armed(const Diagnosis& diagnosis) {
    size_t armed = 0;
    double longest = 0;
    for (const ProbeProgress& probe : diagnosis.progress()) {
      if (!probe.running) continue;
      ++armed;
      longest = std::max(longest, probe.duration_s);
    }
    if (armed > 0)
      std::fprintf(stderr, "armed: %zu probe%s for %.0f s; reproduce it now. Ctrl-C ends it.\n",
                   armed, armed == 1 ? "" : "s", longest);
  }

  void interrupt() {
    interrupted_ = true;
    if (running_ != nullptr) running_->stop();
  }

  EventLoop loop_;
  const CommandSettings settings_;
  bool interrupted_ = false;
  Diagnosis* running_ = nullptr;
  EventSourcePtr on_interrupt_;
  EventSourcePtr on_terminate_;
  EventSourcePtr on_reader_gone_;
};

// From the file, else from NANNYAPI_KEY, else none. Never from the command line, because other
// users see that.
Result<std::string> read_key(const std::optional<std::string>& file) {
  const char* from_environment = getenv("NANNYAPI_KEY");
  std::string key = from_environment != nullptr ? from_environment : "";
  if (file) {
    struct stat status {};
    if (stat(file->c_str(), &status) != 0) return fail_errno("cannot read the key file " + *file);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
      return fail("the key file " + *file + " is readable by others: chmod 600");
    auto content = read_all(*file, key_bytes_max);
    if (!content) return content;
    key = *content;
    key.erase(key.find_last_not_of(" \t\r\n") + 1);
  }
  if (std::ranges::any_of(key, [](char c) { return c <= ' ' || c > '~'; }))
    return fail("the key contains a character that no key may contain");
  return key;
}

void note(const std::string& words) {
  std::fprintf(stderr, "%s\n", printable_lines(words).c_str());
}

// Reports what happens, writes the transcript if there is one, and collects the answers.
AskListener listener_of(const UniqueFd& transcript, json& answers) {
  return {
      .on_message =
          [&transcript](const json& message) {
            if (!transcript) return;
            const std::string line = dump(message) + "\n";
            if (write(transcript.get(), line.data(), line.size()) !=
                static_cast<ssize_t>(line.size()))
              throw std::runtime_error("cannot write the transcript: " +
                                       std::generic_category().message(errno));
          },
      .on_request =
          [](const DiagnosticRequest& request) {
            note("\n" + request.reasoning);
            for (const CommandRequest& command : request.commands)
              note("  runs   " + command.command);
            for (const ProbeRequest& program : request.programs)
              note("  traces " + program.target + " for " +
                   std::to_string(program.duration.count()) + " s");
            for (const Refused& refused : request.refused) note("  refused " + refused.why);
          },
      .on_answer =
          [&answers](const json& answer) {
            for (const json& program : answer["ebpf_results"])
              note("  " + (program["error"].is_string() ? program["error"].get<std::string>()
                                                        : program["summary"].get<std::string>()));
            answers.push_back(answer);
          },
      .on_note = note};
}

void print_json(const Result<Conclusion>& conclusion, const json& answers) {
  json result{{"answers", answers}};
  if (conclusion) {
    result["resolution"] = json::parse(conclusion->resolution.all);
    result["resolution"]["confidence"] = conclusion->resolution.confidence;
    result["claimed_confidence"] = conclusion->claimed_confidence;
    result["not_found"] = conclusion->not_found;
  } else {
    result["error"] = conclusion.error().message;
  }
  std::printf("%s\n", dump(result, 2).c_str());
}

void show_conclusion(const Conclusion& conclusion) {
  const Resolution& resolution = conclusion.resolution;
  note("");
  const auto section = [](const std::string& title, const std::string& text) {
    std::printf("%s\n\n%s\n\n", title.c_str(), printable_lines(text).c_str());
  };
  const std::string lowered = conclusion.claimed_confidence == resolution.confidence
                                  ? ""
                                  : "; the model said " + conclusion.claimed_confidence;
  section("Cause (confidence: " + resolution.confidence + lowered + ")", resolution.root_cause);
  section("What to do", resolution.resolution_plan);
  section("Evidence", resolution.ebpf_evidence);
  if (!conclusion.not_found.empty()) {
    std::string list;
    for (const std::string& claim : conclusion.not_found) list += "- " + claim + "\n";
    section("Not found in any result", list);
  }
  const json all = json::parse(resolution.all);
  for (const auto& [key, value] : all.items()) {
    if (key != "response_type" && key != "root_cause" && key != "resolution_plan" &&
        key != "confidence" && key != "ebpf_evidence")
      section(printable_lines(key), value.is_string() ? value.get<std::string>() : dump(value, 2));
  }
}

// For people on a terminal, otherwise as JSON.
int print_answer(const json& answer, bool as_json) {
  if (as_json || isatty(STDOUT_FILENO) == 0)
    std::printf("%s\n", dump(fit(answer, answer_bytes_max, 2), 2).c_str());
  else
    std::fputs(printable_lines(report(answer)).c_str(), stdout);
  return has_fault(answer) ? 1 : 0;
}

// In the form of a request, whose parser reports what is wrong with them.
json programs_of(const DiagnoseTraceArguments& options) {
  json filters = json::object();
  for (const auto& [key, value] :
       {std::pair{"pid", &options.pid}, std::pair{"tid", &options.tid},
        std::pair{"ppid", &options.ppid}, std::pair{"comm", &options.comm},
        std::pair{"uid", &options.uid}, std::pair{"cgroup", &options.cgroup},
        std::pair{"unit", &options.unit}, std::pair{"container", &options.container},
        std::pair{"errno", &options.error}, std::pair{"return", &options.result},
        std::pair{"latency_us", &options.latency}})
    if (*value) filters[key] = **value;
  if (options.errors && !options.error) filters["errno"] = "any";
  for (const std::string& argument : options.arguments) {
    const size_t end = argument.find_first_of("=<>!~");
    const std::string name = argument.substr(0, end);
    filters["args"][name] = end == std::string::npos ? "" : argument.substr(end);
  }
  json programs = json::array();
  for (const std::string& target : options.targets) {
    json& program = programs.emplace_back(
        json{{"target", target}, {"duration", options.seconds}, {"filters", filters}});
    // A bare name is a system call if there is one of that name, otherwise a function.
    if (target.find_first_of("/:") != std::string::npos) continue;
    const auto calls = find_tracepoints({.category = "syscalls", .name = "sys_enter_" + target});
    program["type"] = calls && !calls->empty() ? "syscall" : "kprobe";
  }
  return programs;
}

}  // namespace

int run_diagnose_run_command(const DiagnoseRunArguments& options) {
  auto settings = settings_of(options.config);
  if (!settings) return complain(settings.error().message, 2);
  const auto refuse = [](const std::string& why) {
    std::printf("%s\n", dump(refused_whole(why), 2).c_str());
    return complain(why, 2);
  };
  const auto text = read_all(options.file, request_bytes_max);
  if (!text) return refuse(text.error().message);
  auto reply = parse_request(*text);
  if (!reply) return refuse(reply.error().message);
  auto* request = std::get_if<DiagnosticRequest>(&*reply);
  if (request == nullptr) return refuse("a resolution has nothing to run");
  const json answer = Foreground(std::move(*settings)).run(std::move(*request));
  return print_answer(answer, options.json);
}

int run_diagnose_trace_command(const DiagnoseTraceArguments& options) {
  auto request = read_items({{"ebpf_programs", programs_of(options)}});
  if (!request.refused.empty()) return complain(request.refused.front().why, 2);
  return print_answer(Foreground({}).run(std::move(request)), options.json);
}

int run_diagnose_targets_command(const std::string& pattern, bool as_json) {
  const auto targets = list_targets(pattern);
  if (!targets) return complain(targets.error().message, 1);
  if (as_json) {
    json list = json::array();
    for (const Target& target : *targets) list.push_back(to_json(target));
    std::printf("%s\n", dump(list, 2).c_str());
    return 0;
  }
  for (const Target& target : *targets) {
    std::string arguments;
    for (const auto& argument : target.arguments)
      arguments.append(arguments.empty() ? "" : ", ")
          .append(argument.type)
          .append(" ")
          .append(argument.name);
    std::printf("%-10s %s(%s)\n", std::string(to_string(target.type)).c_str(), target.name.c_str(),
                arguments.c_str());
  }
  if (targets->empty()) return complain("this kernel has no target that matches", 1);
  return 0;
}

int run_diagnose_ask_command(const DiagnoseAskArguments& options) {
  auto settings = settings_of(options.config);
  if (!settings) return complain(settings.error().message, 2);
  if (options.endpoint.empty())
    return complain("no endpoint: give --endpoint URL or NANNYAPI_ENDPOINT", 2);
  if (options.model.empty()) return complain("no model: give --model NAME or NANNYAPI_MODEL", 2);
  auto key = read_key(options.key_file);
  if (!key) return complain(key.error().message, 2);
  UniqueFd transcript;
  if (options.transcript) {
    // A new file: an existing one may belong to others, or be open to them.
    transcript =
        UniqueFd(open(options.transcript->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!transcript)
      return complain(
          "cannot write " + *options.transcript + ": " + std::generic_category().message(errno), 2);
  }

  Foreground foreground(std::move(*settings));
  auto chat = Chat::open(
      {.endpoint = options.endpoint,
       .model = options.model,
       .key = *key,
       .insecure = options.insecure},
      [&](std::chrono::milliseconds time) { return foreground.wait(time); }, note);
  if (!chat) return complain(chat.error().message, 2);

  json answers = json::array();
  const auto conclusion = ask(
      options.question, *chat,
      {.turns = options.turns,
       .time = std::chrono::seconds(options.seconds),
       .bytes = options.bytes},
      foreground.settings(),
      [&](DiagnosticRequest request, std::chrono::steady_clock::time_point deadline) {
        return foreground.run(std::move(request), deadline);
      },
      listener_of(transcript, answers));
  if (options.json)
    print_json(conclusion, answers);
  else if (conclusion)
    show_conclusion(*conclusion);
  if (!conclusion) return complain(conclusion.error().message, 1);
  constexpr int does_not_hold = 3;
  return conclusion->holds() ? 0 : does_not_hold;
}

}  // namespace ebpf_ai_monitor
