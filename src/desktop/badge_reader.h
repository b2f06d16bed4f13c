// The badge directory as a panel follows it: by inotify, without the daemon, and without trust in
// what lies there.
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
  // Told once of each thing that is passed over: a file that is no badge, a directory that is none;
  // of no more than 1000.
  using PassedOver = std::function<void(const std::string& what)>;

  // `runtime_directory` must exist; the badge directory in it may come, go and come again.
  static Result<BadgeReader> open(std::string runtime_directory, PassedOver passed_over);

  // Readable when something may have changed; then call update(). Its error: the runtime directory
  // is gone.
  int fd() const { return inotify_.get(); }
  Status update();

  // None where their writer is no more.
  const PanelBadges& badges() const { return badges_; }

 private:
  BadgeReader(std::string runtime_directory, PassedOver passed_over);
  // All anew: the directory may be another one.
  void look();
  // Whether whoever wrote them has ended without taking them away.
  bool left_behind() const;
  void read_file(const std::string& name);
  void pass_over(const std::string& what);

  std::string runtime_directory_;
  std::string path_;
  PassedOver passed_over_;
  std::set<std::string> told_;
  UniqueFd inotify_;
  int runtime_watch_ = -1;
  bool left_behind_ = false;
  int directory_watch_ = -1;  // -1: there is none
  PanelBadges badges_;
};

}  // namespace ebpf_ai_monitor
