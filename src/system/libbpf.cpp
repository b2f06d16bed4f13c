#include "system/libbpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>

namespace ebpf_ai_monitor {
namespace {

std::string& first_warning() {
  static std::string text;
  return text;
}

int print(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN && !spdlog::should_log(spdlog::level::trace)) return 0;
  std::array<char, 1024> text;
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string line(text.data());
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (level == LIBBPF_WARN) {
    if (first_warning().empty()) first_warning() = line;
    spdlog::debug("{}", line);
  } else {
    spdlog::trace("{}", line);
  }
  return 0;
}

}  // namespace

void FreeBpf::operator()(bpf_link* link) const { bpf_link__destroy(link); }
void FreeBpf::operator()(btf* types) const { btf__free(types); }
void FreeBpf::operator()(::ring_buffer* ring) const { ring_buffer__free(ring); }

void listen_to_libbpf() {
  libbpf_set_print(print);
  first_warning().clear();
}

std::string libbpf_failure(const std::string& what, int error) {
  std::string message = what + ": " + std::generic_category().message(error);
  if (!first_warning().empty()) message += " (" + first_warning() + ")";
  return message;
}

size_t possible_cpus() { return static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)); }

Status put_bytes(const bpf_map* map, const void* key, size_t key_size, const void* value,
                 size_t value_size) {
  const int result = bpf_map__update_elem(map, key, key_size, value, value_size, BPF_ANY);
  if (result < 0) return fail_errno(std::string("BPF map '") + bpf_map__name(map) + "'", -result);
  return {};
}

bool get_bytes(const bpf_map* map, const void* key, size_t key_size, void* value,
               size_t value_size) {
  return bpf_map__lookup_elem(map, key, key_size, value, value_size, 0) == 0;
}

bool get_next_key_bytes(const bpf_map* map, const void* previous, void* key, size_t key_size) {
  return bpf_map__get_next_key(map, previous, key, key_size) == 0;
}

void erase_bytes(const bpf_map* map, const void* key, size_t key_size) {
  bpf_map__delete_elem(map, key, key_size, 0);
}

size_t max_entries(const bpf_map* map) { return bpf_map__max_entries(map); }

size_t get_batch(const bpf_map* map, const void* token, void* next, void* keys, void* values,
                 size_t most, bool& all) {
  auto count = static_cast<uint32_t>(most);
  const int result = bpf_map_lookup_batch(bpf_map__fd(map), const_cast<void*>(token), next, keys,
                                          values, &count, nullptr);
  all = result < 0;  // ENOENT: that was the last entry
  return result == 0 || errno == ENOENT ? count : 0;
}

}  // namespace ebpf_ai_monitor
