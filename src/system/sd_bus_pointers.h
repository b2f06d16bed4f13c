// Owners of the objects of libsystemd's sd-bus.
#pragma once

#include <systemd/sd-bus.h>

#include <memory>

namespace ebpf_ai_monitor {

template <auto unref>
struct SdBusUnref {
  template <typename Object>
  void operator()(Object* object) const {
    unref(object);
  }
};
using SdBus = std::unique_ptr<sd_bus, SdBusUnref<sd_bus_close_unref>>;
using SdBusSlot = std::unique_ptr<sd_bus_slot, SdBusUnref<sd_bus_slot_unref>>;
using SdBusMessage = std::unique_ptr<sd_bus_message, SdBusUnref<sd_bus_message_unref>>;

}  // namespace ebpf_ai_monitor
