#include "desktop/session_files.h"

#include <set>
#include <utility>

#include "system/inotify.h"

namespace ebpf_ai_monitor {

SessionFiles::SessionFiles(EventLoop& loop, const Proc& proc,
                           std::function<void(const ProcessId&)> changed)
    : proc_(proc), changed_(std::move(changed)), inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  // Without it a file is read when its agent's state changes.
  if (inotify_) source_ = loop.add_io(inotify_.get(), EPOLLIN, [this](uint32_t) { on_changes(); });
}

void SessionFiles::follow(const ProcessId& id) {
  Followed& followed = followed_[id];
  if (followed.directory.empty()) followed.directory = claude_session_directory(proc_, id);
  // An existing watch of the directory is the same one.
  if (followed.watch < 0 && inotify_)
    followed.watch = inotify_add_watch(inotify_.get(), followed.directory.c_str(),
                                       IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR);
  read(id, followed);
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
      if ((event.mask & IN_IGNORED) != 0) followed.watch = -1;
      if (followed.name.empty() || name.empty() || name == followed.name) changed.insert(id);
    }
  });
  for (const ProcessId& id : changed) read(id, followed_.at(id));
}

void SessionFiles::read(const ProcessId& id, Followed& followed) {
  const auto found = claude_session_file(proc_, id, followed.directory, followed.name);
  // One that is being written says nothing yet.
  const ClaudeStatus status = found ? found->status : ClaudeStatus{};
  if (found) followed.name = found->name;
  if (status != std::exchange(followed.status, status)) changed_(id);
}

}  // namespace ebpf_ai_monitor
