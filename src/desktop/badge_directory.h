// The directory of the badge files, $XDG_RUNTIME_DIR/i3pm-badges, and the files in it. Each pass
// opens and checks the directory again, because its user may have replaced it with anything.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// Relative to the user's runtime directory.
constexpr const char* badge_directory_name = "i3pm-badges";
// A file beside it. The process that writes the badges holds a lock on this file (fcntl(2),
// F_OFD_SETLK) as long as it lives, and writes its process id into it. If the file has no lock, the
// badges beside it have no writer.
constexpr const char* badge_writer_name = "i3pm-badges.writer";

// The window of a badge file, "5.json". 0: this is not the name of a badge file.
int64_t window_of(std::string_view name);
// The content of a file that was opened as a badge (if it was not, errno says why). The error says
// why it is not a badge.
Result<std::string> read_badge(const UniqueFd& file);

class BadgeDirectory {
 public:
  // `runtime_directory` must exist and belong to `user`.
  BadgeDirectory(std::string runtime_directory, uid_t user);
  ~BadgeDirectory();
  BadgeDirectory(const BadgeDirectory&) = delete;
  BadgeDirectory& operator=(const BadgeDirectory&) = delete;

  // Readable if the directory may have been replaced, or a badge removed from it; then call
  // replaced() and update(). -1: this cannot be known.
  int fd() const { return inotify_.get(); }
  bool replaced();

  // Takes over what an earlier run has left: the user's regular files with names of badges, as if
  // they were from the last update. Returns their content by window; empty if it cannot be a badge.
  // Removes their temporary files, and leaves everything else alone.
  Result<std::map<int64_t, std::string>> take_over();

  // Makes the directory contain exactly these badges, of those that it has ever been given: content
  // by window. Touches only what differs from the last update; in a new directory, everything. The
  // first error is returned; it affects only that file.
  Status update(const std::map<int64_t, std::string>& badges);

 private:
  void claim();
  Status create();
  // Without a descriptor if there is no directory. Removes other users' access from the mode.
  Result<UniqueFd> open_checked();
  Status write_file(int directory, const std::string& name, const std::string& content) const;
  std::string full_name(const std::string& name) const { return path_ + "/" + name; }

  const std::string runtime_directory_;
  const std::string path_;
  const uid_t user_;
  UniqueFd writer_;  // the file with the id of the writer
  UniqueFd inotify_;
  int runtime_watch_ = -1;
  std::map<int64_t, std::string> written_;
  // The directory to which they were written.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace ebpf_ai_monitor
