// /proc/<pid>/stat, in which a process chooses its own name.
#include <cstddef>
#include <cstdint>

#include "core/text.h"
#include "system/proc.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  if (const auto stat = parse_stat(line)) {
    if (printable(stat->comm) != stat->comm) __builtin_trap();
    (void)terminal_name(stat->terminal);
    (void)stat->ended();
  }
  return 0;
}
