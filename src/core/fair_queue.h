// A queue that several users share. Each user has a line of limited length, and the lines take
// turns.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <map>
#include <utility>

namespace ebpf_ai_monitor {

template <typename Item>
class FairQueue {
 public:
  explicit FairQueue(size_t longest) : longest_(longest) {}

  bool empty() const { return lines_.empty(); }
  // False: the user's line is full.
  bool push(uid_t user, Item item) {
    auto& line = lines_[user];
    if (line.size() >= longest_) return false;
    line.push_back(std::move(item));
    return true;
  }
  // Only if the queue is not empty: the first item in the line of the user whose turn it is.
  Item pop() {
    auto line = lines_.upper_bound(last_);
    if (line == lines_.end()) line = lines_.begin();
    last_ = line->first;
    Item item = std::move(line->second.front());
    line->second.pop_front();
    if (line->second.empty()) lines_.erase(line);
    return item;
  }
  void clear() { lines_.clear(); }

 private:
  size_t longest_;
  std::map<uid_t, std::deque<Item>> lines_;  // no line is empty
  uid_t last_ = 0;
};

}  // namespace ebpf_ai_monitor
