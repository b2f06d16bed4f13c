// Follows the badge directory as a panel does: by inotify, without the daemon, and without trust in
// its contents.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "core/panel.h"
#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

class BadgeReader {
 public:
  // Called once for each thing that is ignored: a file that is not a badge, or a directory that is
  // not one; at most 1000 times.
  using PassedOver = std::function<void(const std::string& what)>;

  // `runtime_directory` must exist; the badge directory in it may appear, disappear and appear
  // again.
  static Result<BadgeReader> open(std::string runtime_directory, PassedOver passed_over);

  // Readable if something may have changed; then call update(). Its error: the runtime directory is
  // gone.
  int fd() const { return inotify_.get(); }
  Status update();

  // Empty if their writer no longer runs.
  const PanelBadges& badges() const { return badges_; }

 private:
  BadgeReader(std::string runtime_directory, PassedOver passed_over);
  // Reads everything again, because the directory may be another one.
  void look();
  // Whether their writer has ended without removing them.
  bool left_behind() const;
  void read_file(const std::string& name);
  void pass_over(const std::string& what);

  std::string runtime_directory_;
  std::string path_;
  PassedOver passed_over_;
  std::set<std::string> reported_;
  UniqueFd inotify_;
  int runtime_watch_ = -1;
  bool left_behind_ = false;
  int directory_watch_ = -1;  // -1: there is none
  PanelBadges badges_;
};

}  // namespace ebpf_ai_monitor
