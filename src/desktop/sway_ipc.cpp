#include "desktop/sway_ipc.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/text.h"

namespace ebpf_ai_monitor::sway {
namespace {

constexpr std::string_view magic = "i3-ipc";

// Reads JSON without building a tree: the depth and the number of windows limit the memory, and
// what is not needed is dropped as soon as it is read.
class Content {
 public:
  // If this is set: stop, successfully, at a "change" that is none of these. It comes first, and
  // what follows is large: a container at each change of a title, ten times a second while agents
  // work.
  const std::vector<std::string_view>* interesting_changes = nullptr;

  std::string change;
  bool success = false;
  Window container;
  std::string title;  // of the container
  std::vector<Window> windows;
  bool is_dark = true;  // of outputs
  std::string error;
  bool stopped = false;

  bool read(std::string_view payload) {
    return nlohmann::json::sax_parse(payload, this) || stopped;
  }

  // nlohmann's SAX interface: false ends the parsing.
  bool null() { return true; }
  bool number_float(double, const std::string&) { return true; }
  bool binary(std::vector<uint8_t>&) { return true; }

  bool boolean(bool value) {
    if (levels_.empty()) return true;
    if (levels_.back().key == Key::focused) levels_.back().node.focused = value;
    if (levels_.back().key == Key::power) levels_.back().is_off |= !value;
    if (levels_.back().key == Key::success && levels_.size() == 1) success = value;
    return true;
  }

  bool number_integer(int64_t) { return true; }  // negative numbers

  bool number_unsigned(uint64_t value) {
    if (levels_.empty()) return true;
    Level& level = levels_.back();
    if (level.key == Key::id && value <= std::numeric_limits<int64_t>::max())
      level.node.id = static_cast<int64_t>(value);
    if (level.key == Key::pid && value <= std::numeric_limits<pid_t>::max())
      level.node.pid = static_cast<pid_t>(value);
    return true;
  }

  bool string(std::string& value) {
    // In the event of a title's change, nothing after the title is needed. The id comes before it.
    if (levels_.size() == 2 && change == "title" && levels_.front().key == Key::container &&
        levels_.back().key == Key::name) {
      title = std::move(value);
      container = levels_.back().node;
      stopped = true;
      return false;
    }
    if (levels_.size() != 1 || levels_.back().key != Key::change) return true;
    change = value;
    if (!interesting_changes) return true;
    stopped = std::ranges::find(*interesting_changes, change) == interesting_changes->end();
    return !stopped;
  }

  bool start_object(size_t) { return enter(); }
  bool start_array(size_t) { return enter(); }
  bool end_array() { return leave(); }

  bool key(std::string& name) {
    Key& key = levels_.back().key;
    key = Key::other;
    if (name == "id") key = Key::id;
    if (name == "pid") key = Key::pid;
    if (name == "focused") key = Key::focused;
    if (name == "change") key = Key::change;
    if (name == "container") key = Key::container;
    if (name == "name") key = Key::name;
    if (name == "success") key = Key::success;
    if (name == "power" || name == "dpms")
      key = Key::power;  // likewise; Sway 1.7 uses the old name
    return true;
  }

  bool end_object() {
    const Window& node = levels_.back().node;
    if (levels_.size() == 2 && node.focused && !levels_.back().is_off) is_dark = false;
    if (levels_.size() == 2 && levels_.front().key == Key::container) container = node;
    // Only views have a pid.
    if (node.id > 0 && node.pid > 0) {
      if (windows.size() == max_windows) {
        error = "more than " + std::to_string(max_windows) + " windows";
        return false;
      }
      windows.push_back(node);
    }
    return leave();
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    error = "invalid JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  enum class Key { other, id, pid, focused, change, container, name, power, success };
  struct Level {
    Key key = Key::other;  // the last key that was read; in an array always `other`
    Window node;
    bool is_off = false;
  };

  bool enter() {
    if (levels_.size() == max_depth) {
      error = "JSON nested deeper than " + std::to_string(max_depth);
      return false;
    }
    levels_.emplace_back();
    return true;
  }

  bool leave() {
    levels_.pop_back();
    return true;
  }

  std::vector<Level> levels_;
};

Result<Content> read(std::string_view payload,
                     const std::vector<std::string_view>* interesting_changes = nullptr) {
  Content content;
  content.interesting_changes = interesting_changes;
  if (content.read(payload)) return content;
  // A window's title contains whatever its program likes, and Sway passes it on unchanged.
  if (is_utf8(payload)) return fail(content.error);
  content = Content();
  content.interesting_changes = interesting_changes;
  if (!content.read(valid_utf8(payload))) return fail(content.error);
  return content;
}

}  // namespace

std::string frame(MessageType type, std::string_view payload) {
  const auto length = static_cast<uint32_t>(payload.size());
  const auto number = static_cast<uint32_t>(type);
  std::string bytes(magic);
  bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
  return bytes.append(payload);
}

void Parser::feed(std::string_view bytes) {
  if (taken_ == buffer_.size()) {
    buffer_ = bytes;
  } else {
    buffer_.erase(0, taken_);
    buffer_.append(bytes);
  }
  taken_ = 0;
}

Result<std::optional<Message>> Parser::next() {
  const std::string_view rest = std::string_view(buffer_).substr(taken_);
  if (rest.substr(0, magic.size()) != magic.substr(0, rest.size()))
    return fail("a message that does not begin with \"i3-ipc\"");
  if (rest.size() < header_size) return std::nullopt;

  uint32_t length = 0;
  uint32_t number = 0;
  std::memcpy(&length, rest.data() + magic.size(), sizeof(length));
  std::memcpy(&number, rest.data() + magic.size() + sizeof(length), sizeof(number));
  if (length > max_payload)
    return fail("a message of " + std::to_string(length) + " bytes, more than the " +
                std::to_string(max_payload) + " allowed");
  if (rest.size() - header_size < length) return std::nullopt;
  taken_ += header_size + length;
  Message message{.type = static_cast<MessageType>(number),
                  .payload = std::string(rest.substr(header_size, length))};
  // Gives back the memory of a large message.
  if (!holds_part()) *this = Parser();
  return message;
}

Result<std::vector<Window>> parse_tree(std::string_view payload) {
  return read(payload).map([](Content content) { return std::move(content.windows); });
}

Result<bool> parse_is_dark(std::string_view payload) {
  return read(payload).map([](const Content& content) { return content.is_dark; });
}

Result<WindowEvent> parse_window_event(std::string_view payload) {
  static const std::vector<std::string_view> changes = {"new", "close", "focus", "move", "title"};
  return read(payload, &changes).map([](Content content) {
    using Change = WindowEvent::Change;
    if (content.container.id <= 0) return WindowEvent{};
    WindowEvent event{
        .change = Change::other, .container = content.container, .title = std::move(content.title)};
    if (content.change == "title") event.change = Change::titled;
    if (content.change == "new") event.change = Change::opened;
    if (content.change == "close") event.change = Change::closed;
    if (content.change == "focus") event.change = Change::focused;
    if (content.change == "move") event.change = Change::moved;
    return event;
  });
}

Result<std::string> parse_change(std::string_view payload) {
  static const std::vector<std::string_view> none;
  return read(payload, &none).map([](const Content& content) { return content.change; });
}

Result<bool> parse_success(std::string_view payload) {
  return read(payload).map([](const Content& content) { return content.success; });
}

}  // namespace ebpf_ai_monitor::sway
