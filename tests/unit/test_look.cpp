#include "diagnose/look.h"

#include <gmock/gmock.h>

namespace ebpf_ai_monitor {
namespace look_tests {

TEST(Look, WhatOnlyLooksIsPrivileged) {
  for (const char* command :
       {"dmesg", " dmesg  -T ", "ss -tlnp", "ss -t -a -n", "ls -l /proc/12/fd", "cat /proc/12/io",
        "cat /proc/12/task/13/stack", "readlink /proc/1/exe", "nft list ruleset", "iptables-save",
        "systemctl status nginx.service", "systemctl --failed --no-pager list-units", "busctl list",
        "lslocks"}) {
    const auto look = look_of(command);
    ASSERT_TRUE(look) << command;
    EXPECT_TRUE(look->privileged && !look->network) << command;
  }
  EXPECT_EQ(look_of(" dmesg  -T ")->arguments, (std::vector<std::string>{"dmesg", "-T"}));
}

TEST(Look, NamesAreResolvedWithoutPrivilege) {
  for (const char* command :
       {"nslookup db.example", "dig db.example AAAA", "getent hosts db", "host db"}) {
    const auto look = look_of(command);
    ASSERT_TRUE(look) << command;
    EXPECT_TRUE(look->network && !look->privileged) << command;
  }
}

TEST(Look, AllElseIsTheSandboxes) {
  for (const char* command : {"",
                              "dmesg -C",
                              "lslocks -p 1",
                              "dmesg --clear",
                              "ss -K dst 1.2.3.4",
                              "ss -D file",
                              "ss -F /etc/shadow",
                              "ss state all",
                              "cat /proc/12/environ",
                              "cat /proc/12/mem",
                              "cat /proc/12/../../etc/shadow",
                              "cat /proc/self/io",
                              "cat /proc/12/fd/3",
                              "cat /proc//io",
                              "cat /proc/1/io /etc/shadow",
                              "ls -l /proc/12/root/",
                              "ls -lR /proc/12/fd",
                              "nft flush ruleset",
                              "nft list ruleset; id",
                              "iptables-save -f /x",
                              "systemctl stop nginx",
                              "systemctl",
                              "systemctl status --root=/x",
                              "systemctl -H x status",
                              "systemctl status $(id)",
                              "busctl call a b c d",
                              "dmesg | grep x",
                              "dmesg>x",
                              "nslookup db 192.0.2.1",
                              "dig @192.0.2.1 db",
                              "nslookup -x",
                              "nslookup $(id)",
                              "host a b",
                              "getent passwd root"})
    EXPECT_FALSE(look_of(command)) << command;
}

}  // namespace look_tests
}  // namespace ebpf_ai_monitor
