#include "app/lifecycle.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <chrono>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "system/sd_bus_pointers.h"

namespace ebpf_ai_monitor {
namespace {

// The time that bridges have to remove their badges; systemd, or somebody at a terminal, waits for
// this.
constexpr auto stop_within = std::chrono::milliseconds(800);

constexpr const char* systemd = "org.freedesktop.systemd1";
constexpr uint64_t answer_within_us = 100'000;

}  // namespace

Lifecycle::Lifecycle(EventLoop& loop, Callbacks callbacks)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
      stop_deadline_(loop.add_timer([this] { kill(); })) {
  for (const int signal : {SIGTERM, SIGINT})
    signals_.push_back(loop.add_signal(signal, [this] { on_stop(); }));
  signals_.push_back(loop.add_signal(SIGHUP, [this] { on_reload(); }));
}

void Lifecycle::tell_ready() { sd_notify(0, "READY=1"); }

void Lifecycle::tell_status(std::string words) {
  if (words == status_) return;
  sd_notify(0, ("STATUS=" + words).c_str());
  status_ = std::move(words);
}

// During a restart, the unit has a job of the type "restart" until the old process has ended:
// org.freedesktop.systemd1(5).
bool Lifecycle::restarts() {
  sd_bus* opened = nullptr;
  if (sd_bus_open_system(&opened) < 0) return false;
  const SdBus bus(opened);
  sd_bus_set_method_call_timeout(bus.get(), answer_within_us);
  sd_bus_message* answer = nullptr;
  const char* unit = nullptr;
  constexpr uint32_t caller = 0;
  if (sd_bus_call_method(bus.get(), systemd, "/org/freedesktop/systemd1",
                         "org.freedesktop.systemd1.Manager", "GetUnitByPID", nullptr, &answer, "u",
                         caller) < 0)
    return false;
  const SdBusMessage of_unit(answer);
  if (sd_bus_message_read(of_unit.get(), "o", &unit) < 0) return false;
  answer = nullptr;
  const char* job = nullptr;
  if (sd_bus_get_property(bus.get(), systemd, unit, "org.freedesktop.systemd1.Unit", "Job", nullptr,
                          &answer, "(uo)") < 0)
    return false;
  const SdBusMessage of_job(answer);
  if (sd_bus_message_read(of_job.get(), "(uo)", nullptr, &job) < 0) return false;
  char* type = nullptr;
  if (sd_bus_get_property_string(bus.get(), systemd, job, "org.freedesktop.systemd1.Job", "JobType",
                                 nullptr, &type) < 0)
    return false;
  const bool restarts = std::string_view(type) == "restart";
  free(type);
  return restarts;
}

void Lifecycle::on_reload() {
  // With Type=notify-reload, systemd (253 and later) compares this time; other versions ignore it.
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
             static_cast<long long>(monotonic_now() / std::chrono::microseconds(1)));
  if (const Status status = callbacks_.reload(); !status)
    spdlog::error("reload: {}; the daemon keeps its previous configuration",
                  status.error().message);
  tell_ready();
}

void Lifecycle::on_stop() {
  if (stopping_) return kill();
  stopping_ = true;
  sd_notify(0, "STOPPING=1");
  callbacks_.stop();
  stop_deadline_->arm(monotonic_now() + stop_within);
}

void Lifecycle::kill() {
  callbacks_.kill();
  loop_.exit(0);
}

}  // namespace ebpf_ai_monitor
