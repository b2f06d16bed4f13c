// What the daemon sends to a bridge, and what a hostile bridge sends to the daemon.
#include <cstddef>
#include <cstdint>

#include "wire/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  const std::string_view packet(reinterpret_cast<const char*>(data), size);
  if (const auto told = wire::decode_message(packet)) {
    // What was understood can be written again, and means the same.
    const std::string again = wire::encode(*told);
    const auto twice = wire::decode_message(again);
    if (!twice || wire::encode(*twice) != again) __builtin_trap();
  }
  return 0;
}
