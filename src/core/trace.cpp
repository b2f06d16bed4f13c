#include "core/trace.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor::trace {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Failure = tl::unexpected<std::string>;

constexpr int trace_version = 1;
constexpr double max_seconds = 1e9;  // about 31 years

struct KindName {
  uint16_t type;
  const char* name;
};
constexpr std::array<KindName, 12> kinds = {{
    {AGENT_FORK, "fork"},
    {AGENT_EXEC, "exec"},
    {AGENT_EXIT, "exit"},
    {AGENT_READ_ENTER, "tty_read_enter"},
    {AGENT_READ_EXIT, "tty_read_exit"},
    {AGENT_OUTPUT, "tty_write"},
    {AGENT_RESIZE, "winch"},
    {AGENT_STOP, "stop"},
    {AGENT_CONTINUE, "continue"},
    {AGENT_SOCK_SEND, "sock_send"},
    {AGENT_SOCK_RECV, "sock_recv"},
    {AGENT_MODE, "tty_mode"},
}};
static_assert(kinds.size() == AGENT_EVENT_TYPES - 1);

// Takes the keys out of an object, and remembers the first that is missing or wrong.
class Keys {
 public:
  explicit Keys(const json& object) : object_(object) {}

  bool has(const char* key) const { return object_.contains(key); }

  template <typename Number>
  Number integer(const char* key, int64_t min = 0,
                 int64_t max = std::numeric_limits<Number>::max()) {
    const json* value = find(key);
    const bool fits = value != nullptr && value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX) &&
                      value->get<int64_t>() >= min && value->get<int64_t>() <= max;
    if (fits) return value->get<Number>();
    complain(key,
             "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return 0;
  }

  template <typename Number>
  Number integer_or(const char* key, Number otherwise) {
    return has(key) ? integer<Number>(key) : otherwise;
  }

  pid_t pid(const char* key) { return integer<pid_t>(key, 1); }

  double seconds(const char* key) {
    const json* value = find(key);
    // An infinite number is not JSON, so the parser has refused it.
    if (value != nullptr && value->is_number() && value->get<double>() >= 0 &&
        value->get<double>() <= max_seconds)
      return value->get<double>();
    complain(key, "must be a number of seconds from 0 to 1000000000");
    return 0;
  }

  Time time(const char* key) { return Time(std::llround(seconds(key) * 1e9)); }

  std::string text(const char* key) {
    const json* value = find(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    complain(key, "must be a string");
    return "";
  }

  TitleSays says(const char* key) {
    const std::string said = text(key);
    for (const auto says :
         {TitleSays::nothing, TitleSays::working, TitleSays::asks, TitleSays::idle}) {
      if (said == name_of(says)) return says;
    }
    complain(key, "must be 'working', 'asks', 'idle' or 'none'");
    return TitleSays::nothing;
  }

  bool truth(const char* key) {
    const json* value = find(key);
    if (value != nullptr && value->is_boolean()) return value->get<bool>();
    complain(key, "must be true or false");
    return false;
  }

  const std::string& complaint() const { return complaint_; }

 private:
  const json* find(const char* key) {
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    complain(key, "is missing");
    return nullptr;
  }

  void complain(const char* key, const std::string& what) {
    if (complaint_.empty()) complaint_ = "'" + std::string(key) + "' " + what;
  }

  const json& object_;
  std::string complaint_;
};

tl::expected<json, std::string> parse_object(std::string_view text) {
  json object = json::parse(text, nullptr, false);
  if (object.is_discarded()) return Failure("not JSON; is the file cut off?");
  if (!object.is_object()) return Failure("not a JSON object");
  return object;
}

agent_event parse_event(uint16_t type, Keys& keys) {
  agent_event event{};
  event.type = type;
  event.pid = static_cast<__u32>(keys.pid("pid"));
  event.tid = event.pid;
  switch (type) {
    case AGENT_FORK:
      event.fork.child = static_cast<__u32>(keys.pid("child"));
      break;
    case AGENT_EXEC:
      keys.text("comm").copy(event.exec.comm, sizeof(event.exec.comm) - 1);
      break;
    case AGENT_EXIT:
      event.exit.code = keys.integer_or("code", 0U);
      event.exit.signal = keys.integer_or("signal", 0U);
      break;
    case AGENT_READ_ENTER:
    case AGENT_READ_EXIT:
      event.tid = static_cast<__u32>(keys.pid("tid"));
      event.read.fd = keys.integer<int>("fd");
      if (type == AGENT_READ_EXIT) event.read.bytes = keys.integer<int>("bytes", INT32_MIN);
      break;
    case AGENT_OUTPUT:
      event.tid = static_cast<__u32>(keys.pid("tid"));
      event.output.fd = keys.integer<int>("fd");
      event.output.bytes = keys.integer<__u32>("bytes");
      event.output.writes = 1;
      break;
    case AGENT_STOP:
    case AGENT_CONTINUE:
      event.job.signal = keys.integer_or("signal", 0U);
      break;
    case AGENT_MODE:
      event.mode.fd = keys.integer<int>("fd");
      break;
    case AGENT_SOCK_SEND:
    case AGENT_SOCK_RECV:
      event.socket.bytes = keys.integer<__u32>("bytes");
      break;
    default:
      break;
  }
  return event;
}

// The text is exact to a microsecond; no clock here is more exact.
double seconds(Time time) {
  return static_cast<double>(std::chrono::round<std::chrono::microseconds>(time).count()) / 1e6;
}

// A comm need not be UTF-8.
std::string dump(const ordered_json& line) {
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

tl::expected<Header, std::string> parse_header(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return Failure(object.error());
  Keys keys(*object);
  if (!keys.has("trace")) return Failure("not a trace: the first line has no \"trace\" key");
  if ((*object)["trace"] != trace_version)
    return Failure("trace version " + (*object)["trace"].dump().substr(0, 20) +
                   "; this program reads version 1");
  Header header;
  header.agent = keys.text("agent");
  for (const auto& [key, value] :
       {std::pair("agent_version", &header.agent_version), std::pair("kernel", &header.kernel),
        std::pair("terminal", &header.terminal), std::pair("clock", &header.clock)}) {
    if (keys.has(key)) *value = keys.text(key);
  }
  if (keys.has("start")) header.start = keys.seconds("start");
  if (!keys.complaint().empty()) return Failure(keys.complaint());
  if (header.agent.empty()) return Failure("'agent' must not be empty");
  return header;
}

tl::expected<Line, std::string> parse_line(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return Failure(object.error());
  Keys keys(*object);
  Line line;
  line.time = keys.time("t");
  const std::string kind = keys.text("ev");
  for (const KindName& known : kinds) {
    if (kind == known.name) line.event = parse_event(known.type, keys);
  }
  if (line.event && keys.has("line_mode")) line.line_mode = keys.truth("line_mode");
  if (kind == "lost") line.lost = keys.integer<uint64_t>("count", 1, INT64_MAX);
  if (kind == "look") line.look = {keys.time("due"), keys.truth("busy"), keys.truth("stopped")};
  if (kind == "age") line.age = keys.time("seconds");
  if (kind == "title") line.title = keys.says("state");
  if (kind == "session_file") line.session_file = keys.says("state");
  line.given = kind == "given";
  if (line.look || line.age || line.title || line.session_file || line.given) keys.pid("pid");
  if (!keys.complaint().empty()) return Failure(keys.complaint());
  return line;
}

tl::expected<void, std::string> read(std::istream& trace,
                                     const std::function<void(const Header&)>& on_header,
                                     const std::function<void(const Line&)>& on_line) {
  std::string buffer(max_line + 1, '\0');
  Time latest{};
  size_t number = 0;
  const auto refuse = [&](const std::string& why) {
    return Failure("line " + std::to_string(number) + ": " + why);
  };
  while (trace.peek() != std::istream::traits_type::eof()) {
    ++number;
    trace.getline(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    if (trace.fail()) return refuse("longer than 64 KiB");
    // Counts the line end that getline has removed, too.
    const auto length = static_cast<size_t>(trace.gcount()) - (trace.eof() ? 0 : 1);
    const std::string_view text(buffer.data(), length);
    if (number == 1) {
      const auto header = parse_header(text);
      if (!header) return refuse(header.error());
      on_header(*header);
      continue;
    }
    const auto line = parse_line(text);
    if (!line) return refuse(line.error());
    if (line->time < latest) return refuse("earlier than the line before it");
    latest = line->time;
    on_line(*line);
  }
  if (number == 0) return Failure("line 1: not a trace: the file is empty");
  return {};
}

std::string header_text(const Header& header) {
  ordered_json line{{"trace", trace_version},
                    {"agent", header.agent},
                    {"agent_version", header.agent_version},
                    {"kernel", header.kernel},
                    {"terminal", header.terminal},
                    {"clock", header.clock}};
  if (header.start) line["start"] = *header.start;
  return dump(line);
}

std::string event_text(const agent_event& event, Time time) {
  ordered_json line{{"t", seconds(time)}, {"ev", kinds.at(event.type - 1U).name}};
  line["pid"] = event.pid;
  const auto put_thread = [&](int fd) {
    line["tid"] = event.tid;
    line["fd"] = fd;
  };
  switch (event.type) {
    case AGENT_FORK:
      line["child"] = event.fork.child;
      break;
    case AGENT_EXEC:
      line["comm"] = std::string(event.exec.comm, strnlen(event.exec.comm, AGENT_COMM_LEN));
      break;
    case AGENT_EXIT:
      line["code"] = event.exit.code;
      line["signal"] = event.exit.signal;
      break;
    case AGENT_READ_ENTER:
    case AGENT_READ_EXIT:
      put_thread(event.read.fd);
      if (event.type == AGENT_READ_EXIT) line["bytes"] = event.read.bytes;
      line["line_mode"] = event.read.line_mode != 0;
      break;
    case AGENT_OUTPUT:
      put_thread(event.output.fd);
      line["bytes"] = event.output.bytes;
      line["line_mode"] = event.output.line_mode != 0;
      break;
    case AGENT_STOP:
    case AGENT_CONTINUE:
      line["signal"] = event.job.signal;
      break;
    case AGENT_MODE:
      line["fd"] = event.mode.fd;
      line["line_mode"] = event.mode.line_mode != 0;
      break;
    case AGENT_SOCK_SEND:
    case AGENT_SOCK_RECV:
      line["bytes"] = event.socket.bytes;
      break;
    default:
      break;
  }
  return dump(line);
}

std::string lost_text(uint64_t count, Time time) {
  return dump({{"t", seconds(time)}, {"ev", "lost"}, {"count", count}});
}

std::string look_text(const Look& look, pid_t pid, Time time) {
  return dump({{"t", seconds(time)},
               {"ev", "look"},
               {"pid", pid},
               {"due", seconds(look.due)},
               {"busy", look.busy},
               {"stopped", look.stopped}});
}

std::string age_text(Time age, pid_t pid, Time time) {
  return dump({{"t", seconds(time)}, {"ev", "age"}, {"pid", pid}, {"seconds", seconds(age)}});
}

std::string given_text(pid_t pid, Time time) {
  return dump({{"t", seconds(time)}, {"ev", "given"}, {"pid", pid}});
}

std::string end_text(Time time) { return dump({{"t", seconds(time)}, {"ev", "end"}}); }

}  // namespace ebpf_ai_monitor::trace
