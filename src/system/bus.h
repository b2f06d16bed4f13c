// sdbus-c++ on the event loop, and all differences between its APIs 1.x (Debian 12) and 2.x.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/allowance.h"
#include "system/event_loop.h"

#if !__has_include(<sdbus-c++/VTableItems.h>)  // 1.x

// A std::variant of all types that a D-Bus variant can contain, as 2.x has it. An sdbus::Variant is
// a message of its own, so it takes three times as long.
namespace sdbus {

template <typename... Types>
struct signature_of<std::variant<Types...>> : signature_of<Variant> {};

template <typename... Types>
Message& operator<<(Message& message, const std::variant<Types...>& value) {
  const auto write = [&]<typename Type>(const Type& content) {
    message.openVariant(signature_of<Type>::str());
    message << content;
    message.closeVariant();
  };
  std::visit(write, value);
  return message;
}

template <typename... Types>
Message& operator>>(Message& message, std::variant<Types...>& value) {
  std::string kind, type;
  message.peekType(kind, type);
  const auto read = [&]<typename Type>(Type content) {
    if (type != signature_of<Type>::str()) return false;
    message.enterVariant(type);
    message >> content;
    message.exitVariant();
    value = std::move(content);
    return true;
  };
  if (!(read(Types()) || ...)) throw Error("org.freedesktop.DBus.Error.InvalidSignature", type);
  return message;
}

}  // namespace sdbus

#endif

namespace ebpf_ai_monitor {

namespace bus {

struct Caller {
  uid_t user;
  std::string name;  // the unique name
};

#if __has_include(<sdbus-c++/VTableItems.h>)  // 2.x

using sdbus::InterfaceName;
using sdbus::ServiceName;
using sdbus::SignalName;
using ErrorName = sdbus::Error::Name;
using ReplyError = std::optional<sdbus::Error>;

// The methods, signals and properties of one interface of an object. publish() makes them
// available.
class Interface {
 public:
  Interface(sdbus::IObject& object, InterfaceName name) : object_(object), name_(std::move(name)) {}

  template <typename Function>
  void method(const char* name, std::vector<std::string> inputs, std::vector<std::string> outputs,
              Function function) {
    items_.emplace_back(sdbus::registerMethod(name)
                            .withInputParamNames(std::move(inputs))
                            .withOutputParamNames(std::move(outputs))
                            .implementedAs(std::move(function)));
  }
  template <typename Parameter>
  void signal(const char* name, const char* parameter) {
    items_.emplace_back(sdbus::registerSignal(name).withParameters<Parameter>(parameter));
  }
  template <typename Getter>
  void property(const char* name, Getter getter) {
    items_.emplace_back(sdbus::registerProperty(name).withGetter(std::move(getter)));
  }
  void publish() { object_.addVTable(name_, std::move(items_)); }

 private:
  sdbus::IObject& object_;
  const InterfaceName name_;
  std::vector<sdbus::VTableItem> items_;
};

// Makes a proxy receive the signals for which it has handlers.
inline void listen(sdbus::IProxy&) {}

inline sdbus::Slot add_match(sdbus::IConnection& connection, const std::string& rule,
                             std::function<void()> on_message) {
  return connection.addMatch(
      rule, [on_message = std::move(on_message)](sdbus::Message) { on_message(); },
      sdbus::return_slot);
}

// False: nothing is pending.
inline bool process_one(sdbus::IConnection& connection) { return connection.processPendingEvent(); }

inline std::optional<Nanoseconds> deadline(const sdbus::IConnection::PollData& poll) {
  if (poll.timeout == std::chrono::microseconds::max()) return std::nullopt;
  return poll.timeout;
}

// The method call that the object is answering.
inline sdbus::Message current_call(const sdbus::IObject& object) {
  return object.getCurrentlyProcessedMessage();
}

#else  // 1.x

using InterfaceName = std::string;
using ServiceName = std::string;
using SignalName = std::string;
using ErrorName = std::string;
using ReplyError = const sdbus::Error*;

class Interface {
 public:
  Interface(sdbus::IObject& object, InterfaceName name) : object_(object), name_(std::move(name)) {}

  template <typename Function>
  void method(const char* name, std::vector<std::string> inputs, std::vector<std::string> outputs,
              Function function) {
    object_.registerMethod(name)
        .onInterface(name_)
        .withInputParamNames(std::move(inputs))
        .withOutputParamNames(std::move(outputs))
        .implementedAs(std::move(function));
  }
  template <typename Parameter>
  void signal(const char* name, const char* parameter) {
    object_.registerSignal(name).onInterface(name_).template withParameters<Parameter>(parameter);
  }
  template <typename Getter>
  void property(const char* name, Getter getter) {
    object_.registerProperty(name).onInterface(name_).withGetter(std::move(getter));
  }
  void publish() { object_.finishRegistration(); }

 private:
  sdbus::IObject& object_;
  const InterfaceName name_;
};

inline void listen(sdbus::IProxy& proxy) { proxy.finishRegistration(); }

inline sdbus::Slot add_match(sdbus::IConnection& connection, const std::string& rule,
                             std::function<void()> on_message) {
  return connection.addMatch(
      rule, [on_message = std::move(on_message)](sdbus::Message&) { on_message(); });
}

inline bool process_one(sdbus::IConnection& connection) {
  return connection.processPendingRequest();
}

inline std::optional<Nanoseconds> deadline(const sdbus::IConnection::PollData& poll) {
  if (poll.timeout_usec == UINT64_MAX) return std::nullopt;
  return std::chrono::microseconds(poll.timeout_usec);
}

inline const sdbus::Message& current_call(const sdbus::IObject& object) {
  return *object.getCurrentlyProcessedMessage();
}

#endif

}  // namespace bus

// Runs a connection on the loop for as long as this object lives. `on_lost` is called once, when
// the bus has closed the connection; then destroy this object (not from within the callback).
class BusOnLoop {
 public:
  BusOnLoop(EventLoop& loop, sdbus::IConnection& connection, std::function<void()> on_lost);

 private:
  void process();
  void take_turn();
  void refresh();

  sdbus::IConnection& connection_;
  std::function<void()> on_lost_;
  bool more_ = false;   // the turn has ended with requests left
  bool rests_ = false;  // it has used its share of the processor
  Allowance time_;
  EventSourcePtr io_;
  EventSourcePtr timer_;
  EventSourcePtr post_;
};

}  // namespace ebpf_ai_monitor
