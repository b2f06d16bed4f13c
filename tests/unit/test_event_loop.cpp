#include "system/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace event_loop_tests {

using namespace std::chrono_literals;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    out = UniqueFd(ends[0]);
    in = UniqueFd(ends[1]);
  }
  void fill() const { EXPECT_EQ(write(in.get(), "x", 1), 1); }
  UniqueFd out;
  UniqueFd in;
};

class Loop : public testing::Test {
 protected:
  // Ends a loop that would not end by itself.
  Loop() { guard_->arm(monotonic_now() + 20s); }

  EventLoop loop_;
  EventSourcePtr guard_ = loop_.add_timer([this] { loop_.exit(99); });
};

TEST_F(Loop, EndsWithTheCodeItIsGiven) {
  const auto timer = loop_.add_timer([this] { loop_.exit(7); });
  timer->arm(monotonic_now());
  EXPECT_EQ(loop_.run(), 7);
}

TEST_F(Loop, CallsWhenAFileIsReadable) {
  const Pipe pipe;
  uint32_t seen = 0;
  const auto io = loop_.add_io(pipe.out.get(), EPOLLIN, [&](uint32_t ready) {
    seen = ready;
    loop_.exit(0);
  });
  pipe.fill();
  EXPECT_EQ(loop_.run(), 0);
  EXPECT_EQ(seen, uint32_t{EPOLLIN});
}

TEST_F(Loop, CanBeAskedForOtherEventsOfAFile) {
  const Pipe pipe;
  const auto io = loop_.add_io(
      pipe.in.get(), 0, [&](uint32_t ready) { loop_.exit((ready & EPOLLOUT) != 0 ? 0 : 1); });
  io->set_io_events(EPOLLOUT);
  EXPECT_EQ(loop_.run(), 0);
}

TEST_F(Loop, EachTimerFires) {
  std::string fired;
  const auto add = [&](char name) {
    return loop_.add_timer([&, name] {
      fired += name;
      if (fired.size() == 3) loop_.exit(0);
    });
  };
  const std::array timers = {add('a'), add('b'), add('c')};
  const Nanoseconds now = monotonic_now();
  for (size_t i = 0; i < timers.size(); ++i) timers.at(i)->arm(now + 20ms - i * 10ms);
  EXPECT_EQ(loop_.run(), 0);
  std::ranges::sort(fired);
  EXPECT_EQ(fired, "abc");
}

TEST_F(Loop, ATimerIsNeverEarlyAndFiresOnce) {
  int fired = 0;
  const Nanoseconds due = monotonic_now() + 3ms + 7ns;
  const auto timer = loop_.add_timer([&] {
    ++fired;
    EXPECT_GE(monotonic_now(), due);
  });
  const auto end = loop_.add_timer([this] { loop_.exit(0); });
  timer->arm(due);
  end->arm(due + 50ms);
  loop_.run();
  EXPECT_EQ(fired, 1);
}

TEST_F(Loop, ATimerCanBeDisarmedAndArmedAgain) {
  int fired = 0;
  EventSourcePtr timer;
  timer = loop_.add_timer([&] {
    if (++fired < 3) {
      timer->arm(monotonic_now());
    } else {
      loop_.exit(0);
    }
  });
  const auto never = loop_.add_timer([this] { loop_.exit(1); });
  never->arm(monotonic_now());
  never->disarm();
  timer->arm(-1h);  // a time that has passed, on a machine that has just been booted: at once
  EXPECT_EQ(loop_.run(), 0);
  EXPECT_EQ(fired, 3);
}

TEST_F(Loop, ASourceMayDestroyItself) {
  const Pipe pipe;
  std::string still_there = "what the callback holds";
  EventSourcePtr io;
  io = loop_.add_io(pipe.out.get(), EPOLLIN, [&, copy = still_there](uint32_t) {
    io.reset();
    EXPECT_EQ(copy, still_there);
    loop_.exit(0);
  });
  EventSourcePtr timer;
  timer = loop_.add_timer([&, copy = still_there] {
    timer.reset();
    EXPECT_EQ(copy, still_there);
    pipe.fill();
  });
  timer->arm(monotonic_now());
  EXPECT_EQ(loop_.run(), 0);
}

TEST_F(Loop, ASourceThatIsGoneIsNotCalled) {
  const Pipe pipe;
  auto io = loop_.add_io(pipe.out.get(), EPOLLIN, [this](uint32_t) { loop_.exit(1); });
  pipe.fill();
  io.reset();
  EXPECT_TRUE(loop_.run_once(0ns));
}

TEST_F(Loop, AChildIsReapedAndReported) {
  siginfo_t seen{};
  const pid_t child = fork();
  if (child == 0) _exit(5);
  const auto source = loop_.add_child(child, [&](const siginfo_t& info) {
    seen = info;
    loop_.exit(0);
  });
  EXPECT_EQ(loop_.run(), 0);
  EXPECT_EQ(seen.si_pid, child);
  EXPECT_EQ(seen.si_code, CLD_EXITED);
  EXPECT_EQ(seen.si_status, 5);
}

TEST_F(Loop, ASignalIsTaken) {
  const auto source = loop_.add_signal(SIGUSR2, [this] { loop_.exit(3); });
  kill(getpid(), SIGUSR2);
  EXPECT_EQ(loop_.run(), 3);
}

TEST_F(Loop, PostComesAfterTheRest) {
  const Pipe pipe;
  std::string order;
  const auto post = loop_.add_post([&] { order += "p"; });
  const auto io = loop_.add_io(pipe.out.get(), EPOLLIN, [&](uint32_t) {
    order += "i";
    char byte = 0;
    EXPECT_EQ(read(pipe.out.get(), &byte, 1), 1);
  });
  pipe.fill();
  for (int round = 0; round < 3; ++round) loop_.run_once(0ns);
  EXPECT_EQ(order, "ip");
}

TEST_F(Loop, ARoundSaysWhetherItHasEnded) {
  EXPECT_TRUE(loop_.run_once(0ns));
  loop_.exit(0);
  while (loop_.run_once(0ns)) {
  }
  SUCCEED();
}

TEST(EventLoop, ThrowsAtMisuse) {
  EventLoop loop;
  EXPECT_THROW(loop.add_io(-1, EPOLLIN, [](uint32_t) {}), std::system_error);
}

}  // namespace event_loop_tests
}  // namespace ebpf_ai_monitor
