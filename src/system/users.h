#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

// The directory of all runtime directories: pam_systemd(8).
constexpr const char* runtime_directories = "/run/user";

// An entry of the user database (passwd, NSS).
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  std::string home;

  // Where the user's session keeps its sockets: pam_systemd(8), XDG Base Directory Specification.
  std::string runtime_directory() const {
    return std::string(runtime_directories) + "/" + std::to_string(uid);
  }
};

// The error names the user.
Result<User> find_user(const std::string& name);
Result<User> find_user(uid_t uid);
// Gives up all of root's rights permanently: this process belongs to the user from now on. If this
// fails, the process is in between, and must end.
Status become(const User& user);
// Whether the user has a runtime directory, owned by them.
bool is_logged_in(uid_t uid);
// All users who have one.
std::vector<User> logged_in_users();

}  // namespace ebpf_ai_monitor
