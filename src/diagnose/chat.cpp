#include "diagnose/chat.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "diagnose/diagnosis.h"
#include "diagnose/request.h"
#include "diagnose/schema.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int connection_attempts_max = 5;
constexpr auto connect_time = std::chrono::seconds(10);
constexpr auto reply_time = std::chrono::seconds(180);
constexpr auto first_back_off = std::chrono::seconds(1);
constexpr auto back_off_max = std::chrono::seconds(30);
constexpr size_t reply_bytes_max = 4UL * 1024 * 1024;

template <typename T, void (*free)(T*)>
using Owned = std::unique_ptr<T, decltype([](T* it) { free(it); })>;
using Easy = Owned<CURL, curl_easy_cleanup>;
using Headers = Owned<curl_slist, curl_slist_free_all>;
using Url = Owned<CURLU, curl_url_cleanup>;

size_t take(char* data, size_t, size_t bytes, void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() + bytes > reply_bytes_max) return 0;
  body.append(data, bytes);
  return bytes;
}

int look(void* wait, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<Wait*>(wait))(milliseconds(0)) ? 0 : 1;
}

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return "";
  const Owned<void, curl_free> owned(text);
  return text;
}

// It may contain a key: "?key=…".
std::string without_query(const std::string& url) {
  const size_t begin = url.find_first_of("?#");
  return begin == std::string::npos ? url : url.substr(0, begin) + "?...";
}

bool is_this_machine(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (host.starts_with('['))  // in the form of a URL
    return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) == 1 &&
           IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost" ||
         (inet_pton(AF_INET, host.c_str(), &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

// A server's description of an error, on one line.
std::string reason(const std::string& body) {
  const auto reply = parse_json(body, reply_bytes_max);
  if (reply && reply->is_object() && reply->contains("error")) {
    const json& error = (*reply)["error"];
    if (error.is_object() && error.contains("message") && error["message"].is_string())
      return in_quotes(error["message"].get<std::string>());
    if (error.is_string()) return in_quotes(error.get<std::string>());
  }
  return in_quotes(body);
}

json at(const json& value, const json::json_pointer& where) {
  return value.contains(where) ? value[where] : json();
}

// Some endpoints return the arguments of a call as an object, not as text.
std::string arguments_of(const json& call) {
  const json arguments = at(call, json::json_pointer("/function/arguments"));
  return arguments.is_string() ? arguments.get<std::string>() : dump(arguments);
}

bool used_tools(const json& messages) {
  return std::ranges::any_of(messages,
                             [](const json& message) { return message.contains("tool_calls"); });
}

// The calls of a message; none if one of them cannot be answered, because it has no id.
std::vector<std::string> calls_of(const json& message) {
  std::vector<std::string> ids;
  const json calls = at(message, json::json_pointer("/tool_calls"));
  if (!calls.is_array()) return ids;
  for (const json& call : calls) {
    const json id = at(call, json::json_pointer("/id"));
    if (!id.is_string() || !call.contains("function")) return {};
    ids.push_back(id.get<std::string>());
  }
  return ids;
}

Result<std::string> content_of(const json& reply) {
  const json content = at(reply, json::json_pointer("/choices/0/message/content"));
  std::string text;
  if (content.is_string()) text = content.get<std::string>();
  if (content.is_array()) {
    for (const json& piece : content)
      if (const json words = at(piece, json::json_pointer("/text")); words.is_string())
        text += words.get<std::string>();
  }
  if (!content.is_string() && !content.is_array())
    return fail("the endpoint's reply has no choices[0].message.content: " +
                in_quotes(dump(reply)));
  return text;
}

Result<ChatReply> read_reply(const json& reply) {
  if (!reply.is_object()) return fail("the endpoint's reply is not a JSON object");
  const json message = at(reply, json::json_pointer("/choices/0/message"));
  ChatReply read{.calls = calls_of(message)};
  if (!read.calls.empty()) {
    read.text = arguments_of(message["tool_calls"][0]);
    read.message = {{"role", "assistant"},
                    {"content", at(message, json::json_pointer("/content"))},
                    {"tool_calls", message["tool_calls"]}};
    return read;
  }
  auto content = content_of(reply);
  if (!content) return tl::make_unexpected(content.error());
  read.text = std::move(*content);
  read.message = {{"role", "assistant"}, {"content", read.text}};
  return read;
}

}  // namespace

struct Chat::Attempt {
  CURLcode code = CURLE_OK;
  std::string error;
  long status = 0;
  std::string body;
  std::optional<milliseconds> retry_after;
};

Chat::Chat(ChatSettings settings, std::string url, bool here, Wait wait,
           std::function<void(std::string)> say)
    : settings_(std::move(settings)),
      url_(std::move(url)),
      here_(here),
      wait_(std::move(wait)),
      say_(std::move(say)) {}

Result<Chat> Chat::open(ChatSettings settings, Wait wait, std::function<void(std::string)> say) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) return fail("libcurl cannot be initialized");
  const Url url(curl_url());
  const auto bad = [&](const std::string& why) {
    return fail("endpoint " + in_quotes(without_query(settings.endpoint)) + " " + why);
  };
  if (!url || curl_url_set(url.get(), CURLUPART_URL, settings.endpoint.c_str(), 0) != CURLUE_OK)
    return bad("is not a URL");
  const std::string scheme = part(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return bad("is not an http or https URL");
  const std::string host = part(url.get(), CURLUPART_HOST);
  const bool here = is_this_machine(host);
  if (scheme == "http" && !here && !settings.key.empty())
    return bad("would get the key unencrypted: use https");
  if (scheme == "http" && !here && !settings.insecure)
    return bad("would get the results unencrypted: use https, or --insecure");
  if (!part(url.get(), CURLUPART_PASSWORD).empty())
    return bad("contains a password: give the key in the environment or in a file");
  std::string path = part(url.get(), CURLUPART_PATH);
  while (path.ends_with('/')) path.pop_back();
  if (!path.ends_with("/chat/completions")) path += "/chat/completions";
  curl_url_set(url.get(), CURLUPART_PATH, path.c_str(), 0);
  return Chat(std::move(settings), part(url.get(), CURLUPART_URL), here, std::move(wait),
              std::move(say));
}

Chat::Attempt Chat::attempt(const std::string& body, milliseconds time) {
  Attempt result;
  const Easy easy(curl_easy_init());
  Headers headers(curl_slist_append(nullptr, "Content-Type: application/json"));
  if (!settings_.key.empty()) {
    const std::string line = "Authorization: Bearer " + settings_.key;
    curl_slist_append(headers.get(), line.c_str());
  }
  std::array<char, CURL_ERROR_SIZE> error{};
  CURL* const handle = easy.get();
  curl_easy_setopt(handle, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  // A proxy that the environment names is not this machine: it would get the key unencrypted.
  if (here_) curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "ebpf-ai-monitor");
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(milliseconds(connect_time).count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(time.count()));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error.data());
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &result.body);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, look);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &wait_);
  result.code = curl_easy_perform(handle);
  result.error = error[0] != '\0' ? error.data() : curl_easy_strerror(result.code);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &result.status);
  curl_off_t seconds = 0;
  if (curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
    result.retry_after = std::min<milliseconds>(std::chrono::seconds(seconds), back_off_max);
  return result;
}

Result<ChatReply> Chat::complete(const json& messages, Clock::time_point deadline) {
  json request{{"model", settings_.model}, {"messages", messages}};
  if (!episode_.empty()) request["tensorzero::episode_id"] = episode_;
  if (has_tools_) request.update({{"tools", chat_tools()}, {"tool_choice", "required"}});
  std::string body = dump(request);

  milliseconds back_off = first_back_off;
  for (int number = 1;; ++number) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds(0)) return fail("the time limit is reached");
    const Attempt result = attempt(body, std::min<milliseconds>(left, reply_time));
    if (result.code == CURLE_OK && result.status == 200) {
      const auto reply = parse_json(result.body, reply_bytes_max);
      if (!reply) return fail("the endpoint's reply: " + reply.error().message);
      if (episode_.empty() && reply->is_object() && reply->contains("episode_id") &&
          (*reply)["episode_id"].is_string())
        episode_ = (*reply)["episode_id"].get<std::string>();
      return read_reply(*reply);
    }
    if (result.code == CURLE_ABORTED_BY_CALLBACK) return fail("stopped");
    if (result.code == CURLE_WRITE_ERROR)
      return fail("the endpoint's reply has more than " + std::to_string(reply_bytes_max) +
                  " bytes");
    const std::string why = result.code != CURLE_OK ? result.error
                                                    : "HTTP " + std::to_string(result.status) +
                                                          ": " + reason(result.body);
    // Endpoints and models without tools report this in many ways. Once an endpoint has accepted
    // tools, it has them.
    const bool of_tools = result.status == 400 || result.status == 422 ||
                          (result.status >= 500 && why.find("tool") != std::string::npos);
    if (has_tools_ && of_tools && !used_tools(messages)) {
      has_tools_ = false;
      for (const char* key : {"tools", "tool_choice"}) request.erase(key);
      body = dump(request);
      say_(why + "; trying again without tools");
      continue;
    }
    const bool again =
        result.status == 429 || result.status >= 500 || result.code == CURLE_OPERATION_TIMEDOUT ||
        result.code == CURLE_COULDNT_CONNECT || result.code == CURLE_COULDNT_RESOLVE_HOST ||
        result.code == CURLE_GOT_NOTHING || result.code == CURLE_RECV_ERROR;
    const milliseconds pause = result.retry_after.value_or(back_off);
    if (!again || number == connection_attempts_max || Clock::now() + pause >= deadline)
      return fail("the endpoint " + without_query(url_) + " failed, try " + std::to_string(number) +
                  ": " + why);
    say_(why + "; trying again in " + std::to_string(pause.count() / 1000) + " s");
    if (!wait_(pause)) return fail("stopped");
    back_off = std::min<milliseconds>(back_off * 2, back_off_max);
  }
}

}  // namespace ebpf_ai_monitor
