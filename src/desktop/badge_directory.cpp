#include "desktop/badge_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <system_error>

#include "system/inotify.h"

namespace ebpf_ai_monitor {
namespace {

constexpr std::string_view file_suffix = ".json";
constexpr std::string_view temporary_suffix = ".json.tmp";
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr mode_t directory_mode = 0700;
constexpr mode_t file_mode = 0600;
// Many times the size of a badge whose project is as long as the daemon allows.
constexpr size_t max_size = 65'536;

std::string file_name(int64_t window) { return std::to_string(window).append(file_suffix); }
// A hidden name, which the "*.json" of a panel does not match.
std::string temporary_name(const std::string& name) { return "." + name + ".tmp"; }

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_ours(std::string_view name) {
  if (name.ends_with(temporary_suffix)) {
    name.remove_suffix(temporary_suffix.size());
    return name.starts_with('.') && is_number(name.substr(1));
  }
  if (!name.ends_with(file_suffix)) return false;
  name.remove_suffix(file_suffix.size());
  return is_number(name);
}

Status write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("write");
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

int64_t window_of(std::string_view name) {
  if (!name.ends_with(file_suffix)) return 0;
  name.remove_suffix(file_suffix.size());
  int64_t window = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), window);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  return whole && window > 0 && std::to_string(window) == name ? window : 0;
}

Result<std::string> read_badge(const UniqueFd& fd) {
  if (!fd) return fail_errno("it cannot be read");
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return fail_errno("it cannot be read");
  if (!S_ISREG(status.st_mode)) return fail("it is not a regular file");
  std::string text(max_size + 1, '\0');
  size_t length = 0;
  while (length < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("it cannot be read");
    if (got == 0) break;
    length += static_cast<size_t>(got);
  }
  if (length > max_size) return fail("it is longer than " + std::to_string(max_size) + " bytes");
  text.resize(length);
  return text;
}

BadgeDirectory::BadgeDirectory(std::string runtime_directory, uid_t user)
    : runtime_directory_(std::move(runtime_directory)),
      path_(runtime_directory_ + "/" + badge_directory_name),
      user_(user),
      inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  constexpr uint32_t events = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM;
  runtime_watch_ = inotify_add_watch(inotify_.get(), runtime_directory_.c_str(), events);
  if (runtime_watch_ < 0) inotify_.reset();
  claim();
}

BadgeDirectory::~BadgeDirectory() {
  if (writer_) unlink((runtime_directory_ + "/" + badge_writer_name).c_str());
}

// Without the lock, the badges are still right; but then nobody can tell whether they were left
// behind.
void BadgeDirectory::claim() {
  const std::string path = runtime_directory_ + "/" + badge_writer_name;
  UniqueFd file(
      open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, file_mode));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (!file || fcntl(file.get(), F_OFD_SETLK, &lock) != 0) return;
  // This write notifies those who watch that there is a lock now.
  if (ftruncate(file.get(), 0) == 0 && write_all(file.get(), std::to_string(getpid()) + "\n"))
    writer_ = std::move(file);
}

bool BadgeDirectory::replaced() {
  bool replaced = false;
  read_inotify(inotify_.get(), [&](const inotify_event& event, const std::string& name) {
    if (event.wd == runtime_watch_) {
      replaced = replaced || name == badge_directory_name;
    } else if (const int64_t window = window_of(name);
               window != 0 && access(full_name(name).c_str(), F_OK) != 0) {
      replaced = written_.erase(window) > 0 || replaced;  // not removed by this process
    }
    replaced = replaced || (event.mask & IN_Q_OVERFLOW) != 0;
  });
  return replaced;
}

Status BadgeDirectory::create() {
  const UniqueFd runtime(open(runtime_directory_.c_str(), directory_flags));
  if (!runtime) return fail_errno(runtime_directory_);
  if (mkdirat(runtime.get(), badge_directory_name, directory_mode) == 0) {
    written_.clear();
  } else if (errno != EEXIST) {
    return fail_errno(path_);
  }
  return {};
}

Result<UniqueFd> BadgeDirectory::open_checked() {
  UniqueFd directory(open(path_.c_str(), directory_flags));
  if (!directory && errno == ENOENT) return directory;
  if (!directory && (errno == ENOTDIR || errno == ELOOP))
    return fail(path_ + " is not a directory: remove it");
  if (!directory) return fail_errno(path_);

  struct stat status {};
  if (fstat(directory.get(), &status) != 0) return fail_errno(path_);
  if (status.st_uid != user_)
    return fail(path_ + " belongs to user id " + std::to_string(status.st_uid) + ", not to " +
                std::to_string(user_));
  if ((status.st_mode & 077) != 0 && fchmod(directory.get(), directory_mode) != 0)
    return fail_errno(path_);
  if (status.st_dev != device_ || status.st_ino != inode_) {
    written_.clear();
    device_ = status.st_dev;
    inode_ = status.st_ino;
    inotify_add_watch(inotify_.get(), path_.c_str(),
                      IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR | IN_DONT_FOLLOW);
  }
  return directory;
}

Result<std::map<int64_t, std::string>> BadgeDirectory::take_over() {
  const auto directory = open_checked();
  if (!directory) return tl::make_unexpected(directory.error());
  written_.clear();
  if (!*directory) return written_;
  const int fd = directory->get();
  // Through /proc, to get a separate read position in this same directory.
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(
      opendir(("/proc/self/fd/" + std::to_string(fd)).c_str()), closedir);
  if (!entries) return fail_errno(path_);
  Status result;
  while (const dirent* entry = readdir(entries.get())) {
    struct stat status {};
    if (!is_ours(entry->d_name) || fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode) || status.st_uid != user_)
      continue;
    if (const int64_t window = window_of(entry->d_name)) {
      const UniqueFd file(
          openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      written_[window] = read_badge(file).value_or("");
    } else if (unlinkat(fd, entry->d_name, 0) != 0 && errno != ENOENT && result) {
      result = fail_errno(full_name(entry->d_name));
    }
  }
  if (!result) return tl::make_unexpected(result.error());
  return written_;
}

Status BadgeDirectory::update(const std::map<int64_t, std::string>& badges) {
  if (!badges.empty()) {
    if (Status created = create(); !created) return created;
  }
  const auto directory = open_checked();
  if (!directory) return tl::make_unexpected(directory.error());
  if (!*directory) {
    if (badges.empty()) return {};
    return fail(path_ + " disappeared while it was being created");
  }
  const int fd = directory->get();
  Status result;
  const auto note = [&](const Status& status) {
    if (!status && result) result = status;
    return status.has_value();
  };

  // Removals come first, because they free space.
  std::erase_if(written_, [&](const auto& entry) {
    if (badges.contains(entry.first)) return false;
    const std::string name = file_name(entry.first);
    if (unlinkat(fd, name.c_str(), 0) == 0 || errno == ENOENT) return true;
    return note(fail_errno(full_name(name)));
  });
  for (const auto& [window, content] : badges) {
    const auto found = written_.find(window);
    if (found != written_.end() && found->second == content) continue;
    if (note(write_file(fd, file_name(window), content))) written_[window] = content;
  }
  return result;
}

Status BadgeDirectory::write_file(int directory, const std::string& name,
                                  const std::string& content) const {
  const std::string temporary = temporary_name(name);
  constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd(openat(directory, temporary.c_str(), flags, file_mode));
  if (!fd && errno == EEXIST) {
    // Not from this pass, so it is no longer in use.
    unlinkat(directory, temporary.c_str(), 0);
    fd = UniqueFd(openat(directory, temporary.c_str(), flags, file_mode));
  }
  if (!fd) return fail_errno(full_name(temporary));

  Status status = write_all(fd.get(), content);
  fd.reset();
  if (status && renameat(directory, temporary.c_str(), directory, name.c_str()) != 0)
    status = fail_errno("rename");
  if (status) return {};
  unlinkat(directory, temporary.c_str(), 0);
  return fail(full_name(name) + ": " + status.error().message);
}

}  // namespace ebpf_ai_monitor
