#include "judge/requests.h"

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace requests_tests {

Requests::Message message(const Event& cause, Time time, int64_t bytes, bool at_work = false) {
  Input input;
  input.take(cause);
  return Requests::read(sends(time, bytes), input, at_work);
}

TEST(Requests, AMessageRightAfterAKeyActs) {
  EXPECT_TRUE(message(reads(3s, 1), 3050ms, 45).acts);
  EXPECT_FALSE(message(reads(3s, 1), 3050ms, 32).acts) << "a keep-alive";
  EXPECT_FALSE(message(reads(3s, 1), 3101ms, 45).acts) << "too late";
  EXPECT_FALSE(message(reads(3s, 6), 3050ms, 45).acts) << "after a report of the mouse";
  EXPECT_TRUE(message(reads(3s, 6), 3050ms, 45, true).acts) << "at work it may be Esc";
}

TEST(Requests, ALargeOneAsksAModel) {
  EXPECT_TRUE(message(reads(3s, 1), 3320ms, 910).asks);
  EXPECT_FALSE(message(reads(3s, 1), 3320ms, 500).asks);
  EXPECT_FALSE(message(reads(3s, 1), 3401ms, 910).asks);
  EXPECT_TRUE(message(reads(3s, 1), 9s, 910).large) << "by itself";
}

TEST(Requests, ArePendingUntilTheyAreAnsweredOrTakenBack) {
  Requests requests;
  EXPECT_FALSE(requests.pending());
  requests.begin(3s, true);
  EXPECT_TRUE(requests.asked_model());
  EXPECT_FALSE(requests.is_late_answer(3999ms));
  EXPECT_TRUE(requests.is_late_answer(4s));
  requests.forget();
  EXPECT_FALSE(requests.asked_model());
  EXPECT_FALSE(requests.is_late_answer(4s));
  requests.begin(5s, false);
  EXPECT_FALSE(requests.asked_model()) << "it may have closed a menu";
}

TEST(Requests, GrowWithALargeOneThatFollows) {
  Requests requests;
  requests.begin(3s, false);
  requests.grow();
  EXPECT_TRUE(requests.asked_model());
  EXPECT_TRUE(requests.is_late_answer(4s)) << "since the first";
}

TEST(Requests, KnowWhatItSaysLastInItsWork) {
  Requests requests;
  requests.said(3s, 235);
  EXPECT_FALSE(requests.said_last()) << "for the first time";
  requests.ended();
  requests.begin_work();
  EXPECT_FALSE(requests.said_last()) << "nothing yet";
  requests.said(6s, 177);
  EXPECT_FALSE(requests.said_last()) << "it has never ended with this";
  requests.said(7s, 235);
  requests.drew_on(7200ms);
  EXPECT_TRUE(requests.said_last()) << "the last frame may follow";
}

TEST(Requests, ForgetForLastWordsWhatIsFollowedByMore) {
  Requests requests;
  requests.said(3s, 235);
  requests.ended();
  requests.begin_work();
  requests.said(6s, 235);
  requests.drew_on(6301ms);
  EXPECT_FALSE(requests.said_last());
  requests.said(9s, 235);
  EXPECT_FALSE(requests.said_last()) << "for ever";
}

TEST(Requests, APauseEndsTheFlowSince) {
  Requests requests;
  requests.begin(3s, true);
  requests.drew(3500ms, 2s);
  requests.drew(4s, 3500ms);
  EXPECT_TRUE(requests.pending()->flows_since);
  requests.drew(4751ms, 4s);
  EXPECT_FALSE(requests.pending()->flows_since);
}

}  // namespace requests_tests
}  // namespace ebpf_ai_monitor::judge
