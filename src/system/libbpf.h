// What every user of libbpf needs: owners of its objects, typed maps, and its warnings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "system/result.h"

struct bpf_link;
struct bpf_map;
struct btf;
struct ring_buffer;

namespace ebpf_ai_monitor {

struct FreeBpf {
  void operator()(::bpf_link* link) const;
  void operator()(::btf* types) const;
  void operator()(::ring_buffer* ring) const;
};
template <typename T>
using BpfOwned = std::unique_ptr<T, FreeBpf>;

// libbpf reports errors as prose. This forgets earlier warnings and listens from now on: it keeps
// the first warning, and logs all others.
void listen_to_libbpf();
// "what: error (the first warning)".
std::string libbpf_failure(const std::string& what, int error);

// A value for each CPU that the machine can have.
size_t possible_cpus();

// The untyped part of what follows. The errors name the map.
Status put_bytes(const bpf_map* map, const void* key, size_t key_size, const void* value,
                 size_t value_size);
bool get_bytes(const bpf_map* map, const void* key, size_t key_size, void* value,
               size_t value_size);
bool get_next_key_bytes(const bpf_map* map, const void* previous, void* key, size_t key_size);
void erase_bytes(const bpf_map* map, const void* key, size_t key_size);
size_t max_entries(const bpf_map* map);
// Reads the next entries after `token` (null: the first), and returns how many they are, and
// whether there are no more. The latter is also true if it cannot be known.
size_t get_batch(const bpf_map* map, const void* token, void* next, void* keys, void* values,
                 size_t most, bool& all);

template <typename Key, typename Value>
Status put(const bpf_map* map, const Key& key, const Value& value) {
  return put_bytes(map, &key, sizeof(key), &value, sizeof(value));
}

template <typename Value, typename Key>
std::optional<Value> get(const bpf_map* map, const Key& key) {
  Value value{};
  if (!get_bytes(map, &key, sizeof(key), &value, sizeof(value))) return std::nullopt;
  return value;
}

// For a map with a value for each CPU. None: the key is not in the map.
template <typename Value, typename Key>
std::vector<Value> get_per_cpu(const bpf_map* map, const Key& key) {
  std::vector<Value> values(possible_cpus());
  if (!get_bytes(map, &key, sizeof(key), values.data(), values.size() * sizeof(Value))) return {};
  return values;
}

template <typename Value, typename Key>
Status zero_per_cpu(const bpf_map* map, const Key& key) {
  const std::vector<Value> zeros(possible_cpus());
  return put_bytes(map, &key, sizeof(key), zeros.data(), zeros.size() * sizeof(Value));
}

template <typename Key>
std::vector<Key> keys_of(const bpf_map* map) {
  std::vector<Key> keys;
  Key key{};
  for (const Key* previous = nullptr; get_next_key_bytes(map, previous, &key, sizeof(key));
       previous = &key)
    keys.push_back(key);
  return keys;
}

// All entries of a hash, in one system call or a few.
template <typename Key, typename Value>
std::vector<std::pair<Key, Value>> entries_of(const bpf_map* map) {
  const size_t most = max_entries(map);
  std::vector<Key> keys(most);
  std::vector<Value> values(most);
  std::vector<std::pair<Key, Value>> entries;
  uint32_t token = 0;  // for a hash, this is the number of a bucket
  bool all = false;
  for (bool first = true; !all; first = false) {
    const size_t count =
        get_batch(map, first ? nullptr : &token, &token, keys.data(), values.data(), most, all);
    for (size_t i = 0; i < count; ++i) entries.emplace_back(keys[i], values[i]);
  }
  return entries;
}

// The entry may be gone already.
template <typename Key>
void erase(const bpf_map* map, const Key& key) {
  erase_bytes(map, &key, sizeof(key));
}

}  // namespace ebpf_ai_monitor
