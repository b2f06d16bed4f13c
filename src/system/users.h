#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

// An entry of the user database (passwd, NSS).
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  std::string home;

  // Where the user's session keeps its sockets: pam_systemd(8), XDG Base Directory Specification.
  std::string runtime_directory() const { return "/run/user/" + std::to_string(uid); }
};

// The error names the user.
Result<User> find_user(const std::string& name);
Result<User> find_user(uid_t uid);
// Those who have a runtime directory now.
std::vector<User> logged_in_users();

}  // namespace ebpf_ai_monitor
