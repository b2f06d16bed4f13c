// What inotify(7) reports.
#pragma once

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace ebpf_ai_monitor {

// Calls `handle(event, name)` for all events that can be read without blocking. The name is "" if
// the event has none.
template <typename Handle>
void read_inotify(int fd, const Handle& handle) {
  alignas(inotify_event) std::array<char, 16'384> events;
  while (true) {
    const ssize_t got = read(fd, events.data(), events.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      handle(*event, std::string(event->len > 0 ? event->name : ""));
    }
  }
}

}  // namespace ebpf_ai_monitor
