#include "desktop/session_files.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

#include "system/inotify.h"

namespace ebpf_ai_monitor {

SessionFiles::SessionFiles(EventLoop& loop, const Proc& proc,
                           std::function<void(const ProcessId&)> changed)
    : proc_(proc), changed_(std::move(changed)), inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  // Without inotify, a file is read when its agent's state changes.
  if (inotify_) source_ = loop.add_io(inotify_.get(), EPOLLIN, [this](uint32_t) { on_changes(); });
}

void SessionFiles::follow(const ProcessId& id) {
  Followed& followed = followed_[id];
  if (followed.directory.empty()) followed.directory = claude_session_directory(proc_, id);
  if (!followed.is_watched && inotify_) watch(followed);
  read(id, followed);
}

void SessionFiles::forget(const ProcessId& id) {
  const auto found = followed_.find(id);
  if (found == followed_.end()) return;
  const int watch = found->second.watch;
  followed_.erase(found);
  end_unused(watch);
}

// A new home has no such directory yet. Then the nearest existing one above it is watched, until
// the next one is created in it.
void SessionFiles::watch(Followed& followed) {
  const auto add = [this](const std::string& path) {
    // For a directory that is watched already, this returns the existing watch.
    return inotify_add_watch(inotify_.get(), path.c_str(),
                             IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_ONLYDIR);
  };
  int before = -1;
  // The next directory may have been created just before the one above it was watched: another
  // round finds it.
  do {
    before = followed.watch;
    std::filesystem::path path = followed.directory;
    while ((followed.watch = add(path)) < 0 && errno == ENOENT && path.has_relative_path())
      path = path.parent_path();
    followed.is_watched = followed.watch >= 0 && path == followed.directory;
    if (followed.watch != before) end_unused(before);
  } while (followed.watch != before);
}

void SessionFiles::end_unused(int watch) {
  const auto uses = [watch](const auto& entry) { return entry.second.watch == watch; };
  if (watch >= 0 && std::ranges::none_of(followed_, uses)) inotify_rm_watch(inotify_.get(), watch);
}

ClaudeStatus SessionFiles::status(const ProcessId& id) const {
  const auto found = followed_.find(id);
  return found == followed_.end() ? ClaudeStatus{} : found->second.status;
}

void SessionFiles::on_changes() {
  std::set<ProcessId> changed;
  read_inotify(inotify_.get(), [&](const inotify_event& event, const std::string& name) {
    for (auto& [id, followed] : followed_) {
      if ((event.mask & IN_Q_OVERFLOW) == 0 && event.wd != followed.watch) continue;
      // The directory is gone.
      if ((event.mask & IN_IGNORED) != 0) {
        followed.watch = -1;
        followed.is_watched = false;
      }
      if (!followed.is_watched || followed.name.empty() || name.empty() || name == followed.name)
        changed.insert(id);
    }
  });
  for (const ProcessId& id : changed) follow(id);
}

void SessionFiles::read(const ProcessId& id, Followed& followed) {
  const auto found = claude_session_file(proc_, id, followed.directory, followed.name);
  // A file that is being written says nothing yet.
  const ClaudeStatus status = found ? found->status : ClaudeStatus{};
  if (found) followed.name = found->name;
  if (status != std::exchange(followed.status, status)) changed_(id);
}

}  // namespace ebpf_ai_monitor
