#include "app/hand_over.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
constexpr int format = 3;

}  // namespace

std::string hand_over_file() {
  const char* directory = std::getenv("RUNTIME_DIRECTORY");
  return directory != nullptr ? std::string(directory) + "/sessions.json" : "";
}

Status hand_over(const std::string& path, const std::vector<KeptSession>& sessions) {
  json list = json::array();
  for (const KeptSession& session : sessions) {
    list.push_back({{"pid", session.id.pid},
                    {"start_ticks", session.id.start_ticks},
                    {"name", session.name},
                    {"judge", session.judged},
                    {"since", session.since},
                    {"why", session.why},
                    {"unseen", session.unseen}});
  }
  std::ofstream file(path, std::ios::trunc);
  file << json{{"format", format}, {"sessions", list}};
  file.close();
  if (!file) return fail_errno("cannot write " + path);
  return {};
}

std::vector<KeptSession> take_over(const std::string& path) {
  std::ifstream file(path);
  if (!file) return {};
  unlink(path.c_str());
  std::vector<KeptSession> sessions;
  try {
    const json content = json::parse(file);
    if (content.at("format") != format) return {};
    for (const json& entry : content.at("sessions")) {
      KeptSession session{
          .id = {entry.at("pid").get<pid_t>(), entry.at("start_ticks").get<uint64_t>()},
          .name = entry.at("name"),
          .judged = entry.at("judge"),
          .since = entry.at("since"),
          .why = entry.at("why"),
          .unseen = entry.at("unseen")};
      if (session.judged.state() <= State::waiting) sessions.push_back(std::move(session));
    }
  } catch (const json::exception&) {
    return {};  // cut short: all of them are judged anew
  }
  return sessions;
}

}  // namespace ebpf_ai_monitor
