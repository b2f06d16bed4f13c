// Sway's IPC protocol, sway-ipc(7), without its socket: framing, and the parts of the JSON that are
// needed. Everything that comes in is limited, because the peer is a process of the user.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor::sway {

// "i3-ipc", the length and the type of the payload, both of 32 bits in native byte order.
constexpr size_t header_size = 14;
// A tree has about 1 KiB for each window.
constexpr uint32_t max_payload = 16 * 1024 * 1024;
// A window in n nested splits is at depth 2 n + 7.
constexpr size_t max_depth = 256;
constexpr size_t max_windows = 10'000;

// Replies have the type of their request; events have the highest bit set.
enum class MessageType : uint32_t {
  run_command = 0,
  subscribe = 2,
  get_outputs = 3,
  get_tree = 4,
  workspace_event = 0x80000000,
  window_event = 0x80000003,
  shutdown_event = 0x80000006,
};

struct Message {
  MessageType type;  // any number, not only those above
  std::string payload;
};

std::string frame(MessageType type, std::string_view payload);

// Splits a stream into messages.
class Parser {
 public:
  void feed(std::string_view bytes);
  // None: more bytes are needed. After an error the stream is lost.
  Result<std::optional<Message>> next();
  bool holds_part() const { return taken_ < buffer_.size(); }

 private:
  std::string buffer_;
  size_t taken_ = 0;  // of the buffer
};

// A view: a container in which a client's process shows its content.
struct Window {
  int64_t id = 0;  // container id; a Sway never uses an id twice
  pid_t pid = 0;   // the client's process; several windows may share it
  bool focused = false;
  // When it opened, in the unit of ProcessId::start_ticks; 0: before anybody watched.
  uint64_t opened_ticks = 0;

  bool operator==(const Window&) const = default;
};

// All windows in a GET_TREE reply, including floating ones, those hidden in the scratchpad, and
// those of Xwayland.
Result<std::vector<Window>> parse_tree(std::string_view payload);

// Of a GET_OUTPUTS reply: whether the output that has the focus is off. If none has
// the focus, all outputs are disabled, which counts as off.
Result<bool> parse_is_dark(std::string_view payload);

struct WindowEvent {
  enum class Change { opened, closed, focused, moved, titled, other };
  Change change = Change::other;
  // The container of the event; without a pid if it is a split, or if the event is `titled`. Not
  // set for `other`.
  Window container;
  std::string title;  // only if `titled`: as the terminal's program has set it
};
Result<WindowEvent> parse_window_event(std::string_view payload);

// The "change" of a workspace event.
Result<std::string> parse_change(std::string_view payload);

// Whether a reply says {"success": true}.
Result<bool> parse_success(std::string_view payload);

}  // namespace ebpf_ai_monitor::sway
