#include "system/users.h"

#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string_view>

#include "system/capabilities.h"

namespace ebpf_ai_monitor {
namespace {

template <typename Key>
Result<User> look_up(const std::string& who, int (*find)(Key, passwd*, char*, size_t, passwd**),
                     Key key) {
  std::array<char, 16384> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const int error = find(key, &entry, buffer.data(), buffer.size(), &found);
  if (error != 0) return fail_errno("cannot look up user " + who, error);
  if (found == nullptr) return fail("there is no user " + who);
  return User{entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir};
}

// None: nobody is logged in.
std::vector<uid_t> runtime_directory_uids() {
  std::vector<uid_t> uids;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(runtime_directories), closedir);
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const std::string_view name(entry->d_name);
    uid_t uid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), uid);
    if (error == std::errc() && end == name.data() + name.size()) uids.push_back(uid);
  }
  return uids;
}

}  // namespace

Result<User> find_user(const std::string& name) {
  return look_up("'" + name + "'", getpwnam_r, name.c_str());
}

Result<User> find_user(uid_t uid) { return look_up(std::to_string(uid), getpwuid_r, uid); }

// Only by its name, which root has created: what is mounted there may belong to the user, and may
// never answer.
bool is_logged_in(uid_t uid) {
  const std::vector<uid_t> uids = runtime_directory_uids();
  return std::ranges::find(uids, uid) != uids.end();
}

Status become(const User& user) {
  if (auto status = limit_bounding_set({}); !status) return status;
  if (initgroups(user.name.c_str(), user.gid) != 0 ||
      setresgid(user.gid, user.gid, user.gid) != 0 || setresuid(user.uid, user.uid, user.uid) != 0)
    return fail_errno("cannot become " + user.name);
  if (auto status = set_capabilities({}); !status) return status;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("cannot set no_new_privs");
  return {};
}

std::vector<User> logged_in_users() {
  std::vector<User> users;
  for (const uid_t uid : runtime_directory_uids())
    if (auto user = find_user(uid)) users.push_back(std::move(*user));
  return users;
}

}  // namespace ebpf_ai_monitor
