// What a process that pretends to be Sway may send: the stream, and the JSON of each message.
#include <cstddef>
#include <cstdint>

#include "desktop/sway_ipc.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)sway::parse_tree(bytes);
  (void)sway::parse_window_event(bytes);
  (void)sway::parse_change(bytes);
  (void)sway::parse_success(bytes);

  sway::Parser parser;
  // In two pieces, as a socket may give them.
  parser.feed(bytes.substr(0, size / 2));
  for (const auto part : {bytes.substr(size / 2), std::string_view()}) {
    for (auto message = parser.next(); message && *message; message = parser.next()) {
      if ((*message)->payload.size() > size) __builtin_trap();
      (void)sway::parse_tree((*message)->payload);
    }
    parser.feed(part);
  }
  return 0;
}
