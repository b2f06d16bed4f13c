#include "judge/processes.h"

#include "judge/json.h"

namespace ebpf_ai_monitor::judge {

void Processes::take(const Event& event) {
  using Kind = Event::Kind;
  switch (event.kind) {
    case Kind::output:  // so it is not stopped
      if (event.pid != 0) {
        drawers_.insert(event.pid);
        drawer_ = event.pid;
      }
      stopped_ = false;
      break;
    case Kind::child:
      any_began_ = event.time;
      if (!is_tool(event)) break;
      children_.insert(event.pid);
      last_began_ = event.time;
      break;
    case Kind::end:
      if (event.pid == drawer_) stopped_ = false;
      last_end_ = event.time;
      children_.erase(event.pid);
      drawers_.erase(event.pid);
      break;
    case Kind::gone:
      children_.erase(event.pid);
      drawers_.erase(event.pid);
      break;
    case Kind::stop:
    case Kind::resume:
      if (event.pid == drawer_) stopped_ = event.kind == Kind::stop;
      break;
    default:
      break;
  }
}

bool Processes::is_tool(const Event& child) const {
  return child.parent == 0 || drawers_.contains(child.parent);
}

template <typename Self, typename Visit>
void Processes::each_field(Self& of, const Visit& visit) {
  visit("drawers", of.drawers_);
  visit("drawer", of.drawer_);
  visit("stopped", of.stopped_);
  visit("children", of.children_);
  visit("last_began", of.last_began_);
  visit("any_began", of.any_began_);
  visit("last_end", of.last_end_);
}

void to_json(nlohmann::json& to, const Processes& from) {
  Processes::each_field(from, WriteField{to});
}
void from_json(const nlohmann::json& from, Processes& to) {
  Processes::each_field(to, ReadField{from});
}

}  // namespace ebpf_ai_monitor::judge
