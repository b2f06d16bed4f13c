#include "diagnose/decoder.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ebpf_ai_monitor {

std::optional<RawEvent> RawEvent::parse(Bytes bytes) {
  RawEvent event;
  if (bytes.size() < sizeof(event.header)) return std::nullopt;
  std::memcpy(&event.header, bytes.data(), sizeof(event.header));
  bytes = bytes.subspan(sizeof(event.header));
  const auto rounded = [](size_t size) { return (size + 7) & ~size_t{7}; };
  if (event.header.data_size > bytes.size() ||
      rounded(event.header.record_size) > event.header.data_size)
    return std::nullopt;
  bytes = bytes.first(event.header.data_size);
  event.record = bytes.first(event.header.record_size);
  bytes = bytes.subspan(rounded(event.header.record_size));
  while (bytes.size() >= sizeof(diagnose_item)) {
    diagnose_item item{};
    std::memcpy(&item, bytes.data(), sizeof(item));
    bytes = bytes.subspan(sizeof(item));
    const size_t size = item.size > 0 ? static_cast<size_t>(item.size) : 0;
    if (rounded(size) > bytes.size()) return std::nullopt;
    event.items.push_back({.capture = item.capture,
                           .more = item.more != 0,
                           .error = item.size < 0 ? -item.size : 0,
                           .bytes = bytes.first(size)});
    bytes = bytes.subspan(rounded(size));
  }
  return event;
}

bool is_text_argument(std::string_view name) {
  constexpr std::array names = {
      "filename", "pathname",    "path",          "name",        "oldname",  "newname", "from",
      "to",       "dev_name",    "dir_name",      "type",        "fsname",   "fs_name", "_fs_name",
      "special",  "specialfile", "from_pathname", "to_pathname", "new_root", "uname",   "u_name",
      "put_old",  "kname",       "ifname",        "_type",       "target",   "comm",    "devname"};
  return std::ranges::find(names, name) != names.end();
}

}  // namespace ebpf_ai_monitor
