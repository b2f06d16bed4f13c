// Sway's IPC protocol, sway-ipc(7), without its socket: framing, and what is needed of the JSON.
// Everything that comes in is bounded: the peer is a process of the user's.
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
// A tree is about 1 KiB a window.
constexpr uint32_t max_payload = 16 * 1024 * 1024;
// A window in n nested splits is at 2 n + 7.
constexpr size_t max_depth = 256;
constexpr size_t max_windows = 10'000;

// Replies have the type of their request, events the highest bit set.
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
  MessageType type;  // any number, not just those above
  std::string payload;
};

std::string frame(MessageType type, std::string_view payload);

// Cuts a stream into messages.
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

// A view: a container that a client's process shows its content in.
struct Window {
  int64_t id = 0;  // container id; a Sway never uses one twice
  pid_t pid = 0;   // of the client; several windows may share it
  bool focused = false;
  // When it opened, in the unit of ProcessId::start_ticks; 0: before anybody watched.
  uint64_t opened_ticks = 0;

  bool operator==(const Window&) const = default;
};

// All of a GET_TREE reply, also floating, hidden in the scratchpad, or of Xwayland.
Result<std::vector<Window>> parse_tree(std::string_view payload);

// Of a GET_OUTPUTS reply: whether the output that has the focus is off. It is, too, where none has
// it: all are disabled then.
Result<bool> parse_is_dark(std::string_view payload);

struct WindowEvent {
  enum class Change { opened, closed, focused, moved, titled, other };
  Change change = Change::other;
  // The container that it is about; without a pid where that is a split, or where it is `titled`.
  // Not filled in for `other`.
  Window container;
  std::string title;  // of one that is `titled`, as the terminal's program has set it
};
Result<WindowEvent> parse_window_event(std::string_view payload);

// The "change" of a workspace event.
Result<std::string> parse_change(std::string_view payload);

// Whether a reply says {"success": true}.
Result<bool> parse_success(std::string_view payload);

}  // namespace ebpf_ai_monitor::sway
