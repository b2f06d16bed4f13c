// The directory of the badge files, $XDG_RUNTIME_DIR/i3pm-badges, and the files in it. Each pass
// opens the directory anew and checks it: its user may have replaced it by anything.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// Below the user's runtime directory.
constexpr const char* badge_directory_name = "i3pm-badges";
// Beside it: who writes the badges holds a lock on this file (fcntl(2), F_OFD_SETLK) for as long as
// it lives, and has its process id in it. Badges beside a file without a lock are nobody's.
constexpr const char* badge_writer_name = "i3pm-badges.writer";

// Of a badge's file, "5.json"; 0: it is no name of one.
int64_t window_of(std::string_view name);
// The content of what was opened as a badge's file (errno: why it was not); the error says why it
// is none.
Result<std::string> read_badge(const UniqueFd& file);

class BadgeDirectory {
 public:
  // `runtime_directory`: an existing one of `user`'s.
  BadgeDirectory(std::string runtime_directory, uid_t user);
  ~BadgeDirectory();
  BadgeDirectory(const BadgeDirectory&) = delete;
  BadgeDirectory& operator=(const BadgeDirectory&) = delete;

  // Readable when the directory may be another one than before, or when a badge was taken out of
  // it; then ask replaced(), and update(). -1: it cannot be known.
  int fd() const { return inotify_.get(); }
  bool replaced();

  // Takes over what an earlier run left: regular files of the user's that are named as badges, as
  // if they were of the last update. Their content by window; "" where it cannot be one. Their
  // temporaries are removed. All else is left alone.
  Result<std::map<int64_t, std::string>> take_over();

  // Makes the directory hold just these badges, of the ones it was ever given: content by window.
  // Touches only what differs from the last update, or all in a directory that is new. The first
  // error; it stops at that file only.
  Status update(const std::map<int64_t, std::string>& badges);

 private:
  void claim();
  Status create();
  // Without a descriptor where there is none. A mode that lets others in is tightened.
  Result<UniqueFd> open_checked();
  Status write_file(int directory, const std::string& name, const std::string& content) const;
  std::string full_name(const std::string& name) const { return path_ + "/" + name; }

  const std::string runtime_directory_;
  const std::string path_;
  const uid_t user_;
  UniqueFd writer_;  // the file that names it
  UniqueFd inotify_;
  int runtime_watch_ = -1;
  std::map<int64_t, std::string> written_;
  // Which directory they were written to.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace ebpf_ai_monitor
