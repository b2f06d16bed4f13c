#include "system/users.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <filesystem>

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

}  // namespace

Result<User> find_user(const std::string& name) {
  return look_up("'" + name + "'", getpwnam_r, name.c_str());
}

Result<User> find_user(uid_t uid) { return look_up(std::to_string(uid), getpwuid_r, uid); }

std::vector<User> logged_in_users() {
  std::vector<User> users;
  std::error_code ignored;  // no /run/user: nobody is logged in
  for (const auto& entry : std::filesystem::directory_iterator("/run/user", ignored)) {
    const std::string name = entry.path().filename();
    uid_t uid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), uid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (auto user = find_user(uid)) users.push_back(std::move(*user));
  }
  return users;
}

}  // namespace ebpf_ai_monitor
