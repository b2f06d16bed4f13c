#include "judge/statement.h"

#include "judge/json.h"

namespace ebpf_ai_monitor::judge {

void to_json(nlohmann::json& to, const Statement& from) {
  to = {{"says", from.says_}, {"since", from.since_}, {"work_began", from.work_began_}};
}

void from_json(const nlohmann::json& from, Statement& to) {
  const ReadField read{from};
  read("says", to.says_);
  read("since", to.since_);
  read("work_began", to.work_began_);
}

}  // namespace ebpf_ai_monitor::judge
