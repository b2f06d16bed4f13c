// The fields of a tracepoint as tracefs describes them, and a record that does not fit them. What
// follows `print fmt:` stays: libtraceevent 1.7 dereferences null where that is broken.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "diagnose/decoder.h"

namespace {

constexpr const char* print_format =
    R"(print fmt: "call_site=%pS ret=0x%lx", (void *)REC->call_site, (REC->ret) ? REC->ret : 0)";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  // Text up to a NUL; then the bytes of a record, and what was captured behind it.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string text(input.substr(0, input.find('\0')));
  std::string record(input.substr(text.size()));
  text.resize(std::min(text.size(), text.find("print fmt:")));
  text.append("\n").append(print_format).append("\n");
  if (record.empty()) record = text;
  record.resize((std::min<size_t>(record.size(), DIAGNOSE_RECORD) + 7) & ~size_t{7});
  diagnose_item item{.capture = 0, .more = 1, .size = 16};
  std::string captured(reinterpret_cast<const char*>(&item), sizeof(item));
  captured += text.substr(0, 16);
  captured.resize(sizeof(item) + 16);
  diagnose_event header{};
  header.record_size = static_cast<uint32_t>(record.size());
  header.data_size = static_cast<uint32_t>(record.size() + captured.size());
  const std::string bytes =
      std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + record + captured;
  const auto event = RawEvent::parse(bytes);
  if (!event || event->items.size() != 1) __builtin_trap();

  const KernelTypes kernel;
  for (const char* category : {"syscalls", "raw_syscalls", "sched"}) {
    const auto decoder = tracepoint_decoder(category, text, kernel);
    if (!decoder) {
      if (decoder.error().message.empty()) __builtin_trap();
      continue;
    }
    diagnose_probe probe{};
    diagnose_layout layout{};
    (*decoder)->describe(probe, layout);
    if (probe.dynamic_count > DIAGNOSE_DYNAMIC || layout.count > DIAGNOSE_CAPTURES)
      __builtin_trap();
    if (!(*decoder)->decode(*event).is_object()) __builtin_trap();
    (void)tracepoint_arguments(category, text);
    (void)tracepoint_field_offset(category, text, "newstate");
    (void)tracepoint_field_names(category, text, "gfp_flags");
  }
  return 0;
}
