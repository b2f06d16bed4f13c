// Keeps the badge directory as it should be, whatever its user does to it.
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

  // Content, by window, of the badges that an earlier run has left. They stay until it is known
  // whether they are right.
  const std::map<int64_t, std::string>& take_over();
  // What the directory should contain: content by window. Unless this is complete, what an earlier
  // run has left for other windows stays, too. A file that cannot be written is logged once, and
  // tried again.
  void write(std::map<int64_t, std::string> files, bool is_all);
  void remove_all();

 private:
  void write_files();

  BadgeDirectory directory_;
  std::map<int64_t, std::string> files_;
  std::map<int64_t, std::string> left_;  // left by an earlier run
  std::string error_;                    // of the last attempt; empty: it succeeded
  EventSourcePtr directory_source_;
  EventSourcePtr retry_timer_;
};

}  // namespace ebpf_ai_monitor
