#include "desktop/badge_reader.h"

#include <dirent.h>
#include <fcntl.h>

#include <array>
#include <memory>
#include <system_error>

#include "desktop/badge_directory.h"
#include "system/inotify.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t max_reported = 1000;
constexpr uint32_t gone = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr uint32_t runtime_events =
    IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB | gone;
// Of the file with the id of the writer: a process that ends closes it.
constexpr uint32_t writer_events = IN_MODIFY | IN_CLOSE_WRITE;
// Without IN_CREATE and IN_MODIFY: a file that is written in place is read when it is complete.
constexpr uint32_t directory_events =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | gone;

}  // namespace

BadgeReader::BadgeReader(std::string runtime_directory, PassedOver passed_over)
    : runtime_directory_(std::move(runtime_directory)),
      path_(runtime_directory_ + "/" + badge_directory_name),
      passed_over_(std::move(passed_over)),
      inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

Result<BadgeReader> BadgeReader::open(std::string runtime_directory, PassedOver passed_over) {
  BadgeReader reader(std::move(runtime_directory), std::move(passed_over));
  if (!reader.inotify_) return fail_errno("inotify");
  reader.runtime_watch_ =
      inotify_add_watch(reader.inotify_.get(), reader.runtime_directory_.c_str(),
                        runtime_events | writer_events | IN_ONLYDIR);
  if (reader.runtime_watch_ < 0) return fail_errno(reader.runtime_directory_);
  reader.look();
  return reader;
}

Status BadgeReader::update() {
  bool look_again = false;
  bool runtime_directory_gone = false;
  read_inotify(inotify_.get(), [&](const inotify_event& event, const std::string& name) {
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      look_again = true;
    } else if (event.wd == runtime_watch_) {
      runtime_directory_gone = runtime_directory_gone || (event.mask & (gone | IN_UNMOUNT)) != 0;
      look_again = look_again || name == badge_directory_name || name == badge_writer_name;
    } else if (event.wd == directory_watch_) {
      if (name.empty()) {
        look_again = true;
      } else if (!look_again && !left_behind_) {
        read_file(name);
      }
    }
  });
  if (runtime_directory_gone) return fail(runtime_directory_ + " is no longer there");
  if (look_again) look();
  return {};
}

bool BadgeReader::left_behind() const {
  const std::string path = runtime_directory_ + "/" + badge_writer_name;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return file && fcntl(file.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

void BadgeReader::look() {
  badges_.clear();
  left_behind_ = left_behind();
  // The watch comes first, so that no change after the look is missed.
  const int watch = inotify_add_watch(inotify_.get(), path_.c_str(),
                                      directory_events | IN_ONLYDIR | IN_DONT_FOLLOW);
  const int error = errno;
  if (watch != directory_watch_ && directory_watch_ >= 0)
    inotify_rm_watch(inotify_.get(), directory_watch_);
  directory_watch_ = watch;
  if (watch < 0) {
    if (error != ENOENT) pass_over(path_ + ": " + std::generic_category().message(error));
    return;
  }
  if (left_behind_) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(path_.c_str()), closedir);
  if (!entries) return;  // it was removed, and the next event will say so
  while (const dirent* entry = readdir(entries.get())) read_file(entry->d_name);
}

void BadgeReader::read_file(const std::string& name) {
  if (name.starts_with('.')) return;  // a temporary file that will become a badge
  const std::string path = path_ + "/" + name;
  const int64_t window = window_of(name);
  if (window == 0) return pass_over(path + ": its name is not that of a badge");
  badges_.erase(window);
  // Non-blocking, because it may be a FIFO.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) return;
  const auto text = read_badge(fd);
  if (!text) return pass_over(path + ": " + text.error().message);
  auto badge = parse_badge(*text, window);
  if (!badge) return pass_over(path + ": " + badge.error());
  badges_.emplace(window, std::move(*badge));
}

void BadgeReader::pass_over(const std::string& what) {
  if (reported_.size() < max_reported && reported_.insert(what).second) passed_over_(what);
}

}  // namespace ebpf_ai_monitor
