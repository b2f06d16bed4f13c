#include "app/hand_over.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
constexpr int format = 5;

}  // namespace

std::string hand_over_file() {
  const char* directory = std::getenv("RUNTIME_DIRECTORY");
  return directory != nullptr ? std::string(directory) + "/sessions.json" : "";
}

Status hand_over(const std::string& path, const HandOver& kept) {
  json sessions = json::array();
  for (const KeptSession& session : kept.sessions) {
    sessions.push_back({{"pid", session.id.pid},
                        {"start_ticks", session.id.start_ticks},
                        {"name", session.name},
                        {"judge", session.judged},
                        {"started", session.started},
                        {"since", session.since},
                        {"why", session.why},
                        {"unseen", session.unseen}});
  }
  json ties = json::array();
  for (const auto& [user, tie] : kept.ties) {
    ties.push_back({{"user", user},
                    {"pid", tie.id.pid},
                    {"start_ticks", tie.id.start_ticks},
                    {"window", tie.window},
                    {"sway", tie.sway},
                    {"how", tie.how}});
  }
  std::ofstream file(path, std::ios::trunc);
  file << json{{"format", format}, {"sessions", sessions}, {"ties", ties}};
  file.close();
  if (!file) return fail_errno("cannot write " + path);
  return {};
}

HandOver take_over(const std::string& path) {
  std::ifstream file(path);
  if (!file) return {};
  unlink(path.c_str());
  HandOver kept;
  try {
    const json content = json::parse(file);
    if (content.at("format") != format) return {};
    for (const json& entry : content.at("sessions")) {
      KeptSession session{
          .id = {entry.at("pid").get<pid_t>(), entry.at("start_ticks").get<uint64_t>()},
          .name = entry.at("name"),
          .judged = entry.at("judge"),
          .started = entry.at("started"),
          .since = entry.at("since"),
          .why = entry.at("why"),
          .unseen = entry.at("unseen")};
      if (session.judged.state() <= State::waiting) kept.sessions.push_back(std::move(session));
    }
    for (const json& entry : content.at("ties")) {
      kept.ties.push_back(
          {.user = entry.at("user"),
           .tie = {.id = {entry.at("pid").get<pid_t>(), entry.at("start_ticks").get<uint64_t>()},
                   .window = entry.at("window"),
                   .sway = entry.at("sway"),
                   .how = entry.at("how")}});
    }
  } catch (const json::exception&) {
    return {};  // cut off: everything is found out again
  }
  return kept;
}

}  // namespace ebpf_ai_monitor
