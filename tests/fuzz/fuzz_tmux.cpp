// What a program that pretends to be tmux may print.
#include <cstddef>
#include <cstdint>

#include "desktop/tmux.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  (void)parse_tmux(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
