#include "judge/input.h"

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace input_tests {

Input told(const Events& events) {
  Input input;
  for (const Event& event : events) input.take(event);
  return input;
}

TEST(Input, ExplainsAnEchoAndARepaint) {
  const Input input = told({reads(3s, 1), resized(10s)});
  EXPECT_FALSE(input.explains(2999ms));
  EXPECT_TRUE(input.explains(3s));
  EXPECT_TRUE(input.explains(3300ms));
  EXPECT_FALSE(input.explains(3301ms));
  EXPECT_TRUE(input.explains(10500ms));
  EXPECT_FALSE(input.explains(10501ms));
}

TEST(Input, AReadWithoutAByteIsNone) {
  const Input input = told({reads(3s, 0), reads(4s, -EAGAIN)});
  EXPECT_EQ(input.last(), std::nullopt);
  EXPECT_FALSE(input.explains(4s));
}

TEST(Input, AReportIsNoKey) {
  EXPECT_TRUE(Input::is_key(reads(3s, 2)));
  EXPECT_FALSE(Input::is_key(reads(3s, 3)));
  EXPECT_TRUE(Input::is_key(gets(3s, 30))) << "a whole line was typed";
  const Input input = told({reads(3s, 1), reads(4s, 6)});
  EXPECT_EQ(input.last_key(), 3s);
  EXPECT_EQ(input.last(), 4s);
  EXPECT_TRUE(input.any_since(3s));
  EXPECT_FALSE(input.any_since(4s));
}

TEST(Input, AKeyAloneIsEsc) {
  EXPECT_TRUE(told({reads(3s, 1)}).last_is_alone());
  EXPECT_TRUE(told({reads(3s, 1), reads(5s, 1)}).last_is_alone());
  EXPECT_FALSE(told({reads(3s, 1), reads(4999ms, 1)}).last_is_alone()) << "a prompt's Enter";
}

}  // namespace input_tests
}  // namespace ebpf_ai_monitor::judge
