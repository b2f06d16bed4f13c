// The client against a Sway that the test plays, over a real socket.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <sstream>

#include "desktop/sway.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace sway_client_tests {

using namespace std::chrono_literals;
using sway::MessageType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::string_view two_windows =
    R"({"id":1,"nodes":[{"id":6,"pid":20,"focused":true},{"id":5,"pid":10,"focused":false}]})";

class SwayClient : public testing::Test {
 protected:
  SwayClient() {
    previous_logger_ = spdlog::default_logger();
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(log_);
    sink->set_pattern("%l %v");
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  ~SwayClient() override { spdlog::set_default_logger(previous_logger_); }

  std::string socket_path(const std::string& number = "1") const {
    return runtime_.path() / ("sway-ipc." + std::to_string(getuid()) + "." + number + ".sock");
  }

  UniqueFd listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << path;
    EXPECT_EQ(listen(fd.get(), 8), 0);
    return fd;
  }

  void start() {
    sway_.emplace(loop_, runtime_.path().string(), getuid(),
                  Sway::Callbacks{
                      .windows_changed = [this] { ++windows_changes_; },
                      .focus_changed = [this] { focus_.push_back(focused()); },
                      .title_changed = [this](int64_t window,
                                              std::string_view title) { titles_[window] = title; },
                      .display_changed = [this] { ++display_changes_; }});
  }

  template <typename Condition>
  void run_until(Condition condition) {
    const auto deadline = monotonic_now() + 20s;
    while (!condition()) {
      ASSERT_LT(monotonic_now(), deadline) << log_.str();
      loop_.run_once(100ms);
    }
  }

  // Plays Sway on one connection.
  struct Peer {
    UniqueFd fd;
    void send(MessageType type, std::string_view payload) { send(sway::frame(type, payload)); }
    void send(const std::string& bytes) {
      EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
    }
  };

  Peer accept_one(const UniqueFd& listening) {
    Peer peer;
    run_until([&] {
      peer.fd = UniqueFd(accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return bool(peer.fd);
    });
    return peer;
  }

  UniqueFd listen_without_waiting(const std::string& path) {
    UniqueFd fd = listen_at(path);
    EXPECT_EQ(fcntl(fd.get(), F_SETFL, O_NONBLOCK), 0);
    return fd;
  }

  // Waits for the next request.
  sway::Message receive(Peer& peer) {
    sway::Parser parser;
    std::optional<sway::Message> message;
    run_until([&] {
      char byte = 0;
      while (!message && recv(peer.fd.get(), &byte, 1, 0) == 1) {
        parser.feed({&byte, 1});
        message = parser.next().value();
      }
      return message.has_value();
    });
    return *message;
  }

  Peer connected_peer(const UniqueFd& listening) {
    Peer peer = accept_one(listening);
    EXPECT_EQ(receive(peer).type, MessageType::subscribe);
    EXPECT_EQ(receive(peer).type, MessageType::get_tree);
    peer.send(MessageType::subscribe, R"({"success": true})");
    peer.send(MessageType::get_tree, two_windows);
    run_until([&] { return sway_->connected(); });
    return peer;
  }

  // Where there is one Sway.
  int64_t focused() const {
    const auto windows = sway_->focused();
    return windows.empty() ? 0 : *windows.begin();
  }

  std::vector<int64_t> ids() const {
    std::vector<int64_t> ids;
    for (const auto& window : sway_->windows()) ids.push_back(window.id);
    return ids;
  }

  int lines_with(const std::string& text) const {
    std::istringstream lines(log_.str());
    int count = 0;
    for (std::string line; std::getline(lines, line);)
      count += line.find(text) != std::string::npos;
    return count;
  }

  TemporaryDirectory runtime_;
  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> previous_logger_;
  EventLoop loop_;
  std::optional<Sway> sway_;
  int windows_changes_ = 0;
  int display_changes_ = 0;
  std::vector<int64_t> focus_;
  std::map<int64_t, std::string> titles_;
};

TEST_F(SwayClient, AsksForEventsThenForTheTree) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  Peer peer = accept_one(listening);
  const auto subscribe = receive(peer);
  EXPECT_EQ(subscribe.type, MessageType::subscribe);
  EXPECT_EQ(subscribe.payload, R"(["window","workspace","shutdown"])");
  EXPECT_EQ(receive(peer).type, MessageType::get_tree);
  EXPECT_FALSE(sway_->connected());
  EXPECT_FALSE(sway_->settled());
  peer.send(MessageType::subscribe, R"({"success": true})");
  peer.send(MessageType::get_tree, two_windows);
  run_until([&] { return sway_->connected(); });
  EXPECT_TRUE(sway_->settled());
  EXPECT_THAT(ids(), ElementsAre(5, 6));
  EXPECT_EQ(focused(), 6);
  EXPECT_EQ(windows_changes_, 1);
}

TEST_F(SwayClient, FollowsEvents) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  Peer peer = connected_peer(listening);
  focus_.clear();
  peer.send(MessageType::window_event, R"({"change":"new","container":{"id":7,"pid":10}})");
  peer.send(MessageType::window_event,
            R"({"change":"title","container":{"id":7,"name":"shop","pid":10}})");
  peer.send(MessageType::window_event, R"({"change":"focus","container":{"id":7,"pid":10}})");
  peer.send(MessageType::window_event, R"({"change":"focus","container":{"id":5,"pid":10}})");
  peer.send(MessageType::window_event, R"({"change":"close","container":{"id":6,"pid":20}})");
  run_until([&] { return windows_changes_ == 3; });
  EXPECT_THAT(ids(), ElementsAre(5, 7));
  EXPECT_EQ(titles_[7], "shop");
  EXPECT_THAT(focus_, ElementsAre(7, 5));  // each, though they came together
  EXPECT_EQ(focused(), 5);
  peer.send(MessageType::window_event, R"({"change":"focus","container":{"id":9}})");
  run_until([&] { return focus_.size() == 3; });
  EXPECT_EQ(focused(), 0);  // a split
}

TEST_F(SwayClient, AsksAgainWhereAnEventCannotTell) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  Peer peer = connected_peer(listening);
  for (const auto& [type, payload] :
       {std::pair(MessageType::workspace_event, R"({"change":"focus","current":{"id":2}})"),
        std::pair(MessageType::workspace_event, R"({"change":"reload"})"),
        std::pair(MessageType::window_event, R"({"change":"move","container":{"id":5}})")}) {
    peer.send(type, payload);
    EXPECT_EQ(receive(peer).type, MessageType::get_tree) << payload;
    const size_t changes = focus_.size();
    peer.send(MessageType::get_tree, two_windows);
    run_until([&] { return focus_.size() > changes; });
  }
  EXPECT_EQ(windows_changes_, 1);  // they are the same
  EXPECT_EQ(focused(), 6);
}

TEST_F(SwayClient, AsksOnceMoreForWhatChangedSinceItAsked) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  Peer peer = connected_peer(listening);
  for (int i = 0; i < 100; ++i)
    peer.send(MessageType::workspace_event, R"({"change":"focus","current":{"id":2}})");
  EXPECT_EQ(receive(peer).type, MessageType::get_tree);
  run_until([&] { return focus_.size() >= 101; });  // all have been read
  peer.send(MessageType::get_tree, two_windows);
  EXPECT_EQ(receive(peer).type, MessageType::get_tree);
  peer.send(MessageType::get_tree, two_windows);
  run_until([&] { return focus_.size() >= 103; });
  char byte = 0;
  EXPECT_EQ(recv(peer.fd.get(), &byte, 1, 0), -1);  // and no more
}

TEST_F(SwayClient, AsksAgainWhileTheDisplayIsOff) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  Peer peer = connected_peer(listening);
  const auto answer = [&](const std::string& outputs) {
    EXPECT_TRUE(sway_->displays_due());
    EXPECT_EQ(receive(peer).type, MessageType::get_outputs);
    peer.send(MessageType::get_outputs, outputs);
    run_until([&] { return !sway_->displays_due(); });
  };
  const std::string on = R"([{"name":"DP-1","focused":true,"power":true}])";
  const std::string off = R"([{"name":"DP-1","focused":true,"power":false}])";
  sway_->ask_displays();
  sway_->ask_displays();  // one request
  answer(on);
  EXPECT_EQ(display_changes_, 0);
  EXPECT_THAT(sway_->in_view(), ElementsAre(6));
  sway_->ask_displays();
  answer(off);
  EXPECT_EQ(display_changes_, 1);
  EXPECT_THAT(sway_->in_view(), IsEmpty());
  EXPECT_EQ(focused(), 6);
  run_until([&] { return sway_->displays_due(); });
  answer(off);
  EXPECT_EQ(display_changes_, 1);
  // The focus may have gone to another output.
  peer.send(MessageType::window_event, R"({"change":"focus","container":{"id":5,"pid":10}})");
  run_until([&] { return focused() == 5; });
  answer(on);
  EXPECT_EQ(display_changes_, 2);
  EXPECT_THAT(sway_->in_view(), ElementsAre(5));
}

struct Broken {
  const char* name;
  std::string bytes;
  const char* error;
};

class BrokenSway : public SwayClient, public testing::WithParamInterface<Broken> {};

TEST_P(BrokenSway, IsLoggedByNameAndTriedAgain) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  {
    Peer peer = connected_peer(listening);
    peer.send(GetParam().bytes);
    run_until([&] { return !sway_->connected(); });
  }
  EXPECT_THAT(sway_->windows(), IsEmpty());
  EXPECT_EQ(windows_changes_, 2);
  EXPECT_EQ(lines_with(GetParam().error), 1) << log_.str();
  EXPECT_EQ(lines_with("error Sway's socket " + socket_path() + ": "), 1) << log_.str();
  Peer peer = connected_peer(listening);
  EXPECT_THAT(ids(), ElementsAre(5, 6));
}

INSTANTIATE_TEST_SUITE_P(
    Sway, BrokenSway,
    testing::Values(
        Broken{"Garbage", "HTTP/1.1 400 Bad Request\r\n", "does not begin with"},
        Broken{"FourGigabytes", std::string("i3-ipc\xff\xff\xff\xff\x04\0\0\0", 14), "4294967295"},
        Broken{"NoJson", sway::frame(MessageType::window_event, "{\"change\":"), "invalid JSON"},
        Broken{"Deep", sway::frame(MessageType::window_event, std::string(100'000, '[')),
               "nested deeper"},
        Broken{"UnknownType", sway::frame(static_cast<MessageType>(77), "{}"), "type 77"},
        Broken{"UnaskedTree", sway::frame(MessageType::get_tree, "{}"), "unexpected reply"},
        Broken{"UnaskedOutputs", sway::frame(MessageType::get_outputs, "[]"), "unexpected reply"},
        Broken{"UnaskedReply", sway::frame(MessageType::subscribe, R"({"success":true})"),
               "unexpected reply"}),
    [](const auto& info) { return info.param.name; });

TEST_F(SwayClient, EndsInPeace) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  { Peer peer = connected_peer(listening); }
  run_until([&] { return !sway_->connected(); });
  Peer peer = connected_peer(listening);
  peer.send(MessageType::shutdown_event, R"({"change":"exit"})");
  run_until([&] { return !sway_->connected(); });
  EXPECT_EQ(lines_with("error"), 0) << log_.str();
  EXPECT_EQ(lines_with("info the Sway at socket " + socket_path() + " has ended"), 2) << log_.str();
}

TEST_F(SwayClient, ClosedTooEarlyIsAnError) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  accept_one(listening);
  run_until([&] { return lines_with("error Sway's socket " + socket_path() + ": ") == 1; });
  {
    Peer peer = connected_peer(listening);
    peer.send("i3-");
  }
  run_until([&] { return lines_with("error Sway's socket " + socket_path() + ": ") == 2; });
}

TEST_F(SwayClient, RefusedSubscription) {
  const UniqueFd listening = listen_without_waiting(socket_path());
  start();
  Peer peer = accept_one(listening);
  peer.send(MessageType::subscribe, R"({"success": false})");
  run_until([&] { return lines_with("refuses") == 1; });
}

TEST_F(SwayClient, SettledWithoutASway) {
  start();
  run_until([&] { return sway_->settled(); });
  EXPECT_FALSE(sway_->connected());
  EXPECT_EQ(windows_changes_, 1);
}

TEST_F(SwayClient, SocketThatAppearsLater) {
  start();
  run_until([&] { return sway_->settled(); });
  const UniqueFd listening = listen_without_waiting(socket_path());
  connected_peer(listening);
}

TEST_F(SwayClient, SeveralSwaysAtATime) {
  const UniqueFd first = listen_without_waiting(socket_path("1"));
  start();
  std::optional<Peer> peer = connected_peer(first);
  const UniqueFd second = listen_without_waiting(socket_path("2"));
  Peer other = connected_peer(second);
  run_until([&] { return sway_->windows().size() == 4; });
  // Both count alike, and both have a focus.
  std::set<int64_t> all;
  std::multiset<int64_t> con_ids;
  for (const int64_t id : ids()) {
    all.insert(id);
    con_ids.insert(Sway::con_id(id));
  }
  EXPECT_THAT(all, SizeIs(4));
  EXPECT_THAT(con_ids, ElementsAre(5, 5, 6, 6));
  EXPECT_THAT(sway_->focused(), SizeIs(2));
  peer.reset();
  run_until([&] { return sway_->windows().size() == 2; });
  EXPECT_TRUE(sway_->connected());
  EXPECT_THAT(sway_->focused(), SizeIs(1));
}

TEST_F(SwayClient, DeadSocketIsPassedOverForALiveOne) {
  const UniqueFd listening = listen_without_waiting(socket_path("1"));
  { const UniqueFd killed = listen_at(socket_path("2")); }
  // The dead one is the newer.
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, socket_path("1").c_str(), times, 0), 0);
  start();
  connected_peer(listening);
  EXPECT_THAT(ids(), SizeIs(2));
}

TEST_F(SwayClient, WhatIsNoSocketOfTheUsersIsLeftAlone) {
  write_file(socket_path("1"), "not a socket");
  std::filesystem::create_symlink("/dev/null", socket_path("2"));
  ASSERT_EQ(mkfifo(socket_path("3").c_str(), 0600), 0);
  const UniqueFd other =
      listen_at(runtime_.path() / ("sway-ipc." + std::to_string(getuid() + 1) + ".1.sock"));
  ASSERT_EQ(fcntl(other.get(), F_SETFL, O_NONBLOCK), 0);
  start();
  run_until([&] { return sway_->settled(); });
  EXPECT_EQ(accept(other.get(), nullptr, nullptr), -1);
  EXPECT_EQ(log_.str(), "");
}

}  // namespace sway_client_tests
}  // namespace ebpf_ai_monitor
