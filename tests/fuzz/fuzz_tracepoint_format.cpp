// The fields of a tracepoint as tracefs describes them, and a record that does not fit them. Their
// form and what follows `print fmt:` stay the kernel's: where they are broken, libtraceevent 1.7
// itself dereferences null.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "diagnose/decoder.h"

namespace {

constexpr const char* print_format =
    R"(print fmt: "call_site=%pS ret=0x%lx", (void *)REC->call_site, (REC->ret) ? REC->ret : 0)";

bool is_of_the_kernels_form(const std::string& line) {
  static const std::regex form(
      R"(|name: \w+|ID: \d{1,9}|format:)"
      R"(|\tfield:(__data_loc |__rel_loc )?([A-Za-z_]\w* )+(\* ?)*(\[\w*\] )?[A-Za-z_]\w*(\[\w*\])?;)"
      R"(\toffset:\d{1,10};\tsize:\d{1,10};(\tsigned:[01];)?)");
  return line.size() < 200 && std::regex_match(line, form);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  // Text up to a NUL; then the bytes of a record, and what was captured behind it.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::istringstream lines(std::string(input.substr(0, input.find('\0'))));
  std::string record(input.substr(std::min(size, input.find('\0'))));
  std::string text;
  for (std::string line; std::getline(lines, line);)
    if (is_of_the_kernels_form(line)) text += line + "\n";
  text.append(print_format).append("\n");
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
    (*decoder)->instruct(probe, layout);
    if (probe.dynamic_count > DIAGNOSE_DYNAMIC || layout.count > DIAGNOSE_CAPTURES)
      __builtin_trap();
    if (!(*decoder)->decode(*event).is_object()) __builtin_trap();
    (void)tracepoint_arguments(category, text);
    (void)tracepoint_field_offset(category, text, "newstate");
    (void)tracepoint_field_names(category, text, "gfp_flags");
  }
  return 0;
}
