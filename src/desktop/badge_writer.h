// Keeps the badge directory as it shall be, whatever its user does to it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "desktop/badge_directory.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

class BadgeWriter {
 public:
  BadgeWriter(EventLoop& loop, const std::string& runtime_directory, uid_t user);

  // Removes what an earlier run left.
  void remove_stale();
  // What the directory shall hold: content by window. What cannot be written is logged once, and
  // tried again.
  void write(std::map<int64_t, std::string> files);
  void remove_all();

 private:
  void write_files();

  BadgeDirectory directory_;
  std::map<int64_t, std::string> files_;
  std::string error_;  // of the last attempt; "": it went well
  EventSourcePtr directory_source_;
  EventSourcePtr retry_timer_;
};

}  // namespace ebpf_ai_monitor
