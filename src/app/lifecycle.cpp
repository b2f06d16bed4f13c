#include "app/lifecycle.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <chrono>
#include <utility>

namespace ebpf_ai_monitor {
namespace {

// For the bridges to remove their badges; systemd and a person wait for this.
constexpr auto stop_within = std::chrono::milliseconds(800);

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
  if (words == told_status_) return;
  sd_notify(0, ("STATUS=" + words).c_str());
  told_status_ = std::move(words);
}

void Lifecycle::on_reload() {
  // systemd of Type=notify-reload goes by the time (253 and later); others ignore it.
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
