#include <traceevent/event-parse.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "diagnose/decoder.h"

namespace ebpf_ai_monitor {
namespace {

struct FreeTep {
  void operator()(tep_handle* tep) const { tep_free(tep); }
};

// A format file, parsed.
struct Format {
  std::unique_ptr<tep_handle, FreeTep> tep;
  tep_event* event = nullptr;  // owned by tep
};

Result<Format> parse(const std::string& category, const std::string& text) {
  Format format;
  format.tep.reset(tep_alloc());
  if (!format.tep) return fail("out of memory");
  tep_set_long_size(format.tep.get(), sizeof(long));
  tep_set_file_bigendian(format.tep.get(), TEP_LITTLE_ENDIAN);
  tep_set_local_bigendian(format.tep.get(), TEP_LITTLE_ENDIAN);
  tep_set_loglevel(TEP_LOG_NONE);
  // It fails at a `print fmt` that it cannot parse; the fields are there all the same.
  tep_parse_format(format.tep.get(), &format.event, text.data(), text.size(), category.c_str());
  if (!format.event || format.event->format.nr_common == 0)
    return fail("cannot parse the format of a tracepoint in " + category);
  // A place in a record has 16 bits: it is what __data_loc has room for.
  for (const tep_format_field* field = format.event->format.fields; field; field = field->next)
    if (field->offset < 0 || field->size < 0 || field->offset > UINT16_MAX ||
        field->size > UINT16_MAX)
      return fail("a tracepoint in " + category + " has the field " + field->name +
                  " out of all bounds");
  return format;
}

// The table of a __print_flags() or __print_symbolic() of that field.
void find_names(const tep_print_arg* argument, const std::string& field, Names& names) {
  const auto is_field = [&](const tep_print_arg* of) {
    const auto is_mask = [](const tep_print_arg* op) {  // "REC->prev_state & 0xff"
      return op->type == TEP_PRINT_OP && std::string_view(op->op.op) == "&";
    };
    while (of && (of->type == TEP_PRINT_TYPE || is_mask(of)))
      of = of->type == TEP_PRINT_TYPE ? of->typecast.item : of->op.left;
    return of && of->type == TEP_PRINT_FIELD && field == of->field.name;
  };
  const auto take = [&](const tep_print_flag_sym* symbol, bool flags) {
    names.flags = flags;
    for (; symbol; symbol = symbol->next)
      if (symbol->value && symbol->str)
        names.values.emplace_back(std::strtoull(symbol->value, nullptr, 0), symbol->str);
  };
  for (; argument && names.values.empty(); argument = argument->next) {
    if (argument->type == TEP_PRINT_FLAGS && is_field(argument->flags.field))
      take(argument->flags.flags, true);
    else if (argument->type == TEP_PRINT_SYMBOL && is_field(argument->symbol.field))
      take(argument->symbol.symbols, false);
    else if (argument->type == TEP_PRINT_OP) {  // "(flags) ? __print_flags(…) : "none""
      find_names(argument->op.left, field, names);
      if (names.values.empty()) find_names(argument->op.right, field, names);
    } else if (argument->type == TEP_PRINT_TYPE) {
      find_names(argument->typecast.item, field, names);
    }
  }
}

uint64_t read_unsigned(Bytes bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof(value)));
  return value;
}

// "%pS" and its kin print an address as the function that it is in:
// Documentation/core-api/printk-formats.rst.
bool is_symbol(const std::string& format, const std::string& field) {
  const std::string shown = field + "=%p";
  for (size_t at = format.find(shown); at != std::string::npos; at = format.find(shown, at + 1)) {
    const char before = at > 0 ? format[at - 1] : ' ';
    const size_t behind = at + shown.size();
    if (std::isalnum(static_cast<unsigned char>(before)) == 0 && before != '_' &&
        behind < format.size() &&
        std::string_view("sSfF").find(format[behind]) != std::string::npos)
      return true;
  }
  return false;
}

// An argument of a system call is 8 bytes wide in its record, whatever its type.
// include/linux/types.h
struct IntegerType {
  size_t size;
  bool is_signed;
};

IntegerType integer_type(const std::string& type) {
  static const std::map<std::string, IntegerType> types = {{"int", {4, true}},
                                                           {"unsigned int", {4, false}},
                                                           {"unsigned", {4, false}},
                                                           {"u32", {4, false}},
                                                           {"__u32", {4, false}},
                                                           {"uint32_t", {4, false}},
                                                           {"__s32", {4, true}},
                                                           {"s32", {4, true}},
                                                           {"int32_t", {4, true}},
                                                           {"pid_t", {4, true}},
                                                           {"uid_t", {4, false}},
                                                           {"gid_t", {4, false}},
                                                           {"qid_t", {4, false}},
                                                           {"key_t", {4, true}},
                                                           {"key_serial_t", {4, true}},
                                                           {"mqd_t", {4, true}},
                                                           {"timer_t", {4, true}},
                                                           {"clockid_t", {4, true}},
                                                           {"const clockid_t", {4, true}},
                                                           {"rwf_t", {4, true}},
                                                           {"umode_t", {2, false}},
                                                           {"u16", {2, false}},
                                                           {"long", {8, true}},
                                                           {"ssize_t", {8, true}},
                                                           {"loff_t", {8, true}},
                                                           {"off_t", {8, true}},
                                                           {"bool", {1, false}}};
  const auto found = types.find(type);
  return found == types.end() ? IntegerType{8, false} : found->second;
}

class TracepointDecoder : public Decoder {
 public:
  TracepointDecoder(const std::string& category, const std::string& text, const Format& format,
                    const KernelTypes& kernel)
      : kernel_(kernel) {
    const std::string name = format.event->name;
    const bool system_calls = category == "syscalls";
    is_enter_ = system_calls && name.starts_with("sys_enter_");
    is_exit_ = (system_calls && name.starts_with("sys_exit_")) ||
               (category == "raw_syscalls" && name == "sys_exit");
    if (is_enter_) call_ = name.substr(std::strlen("sys_enter_"));
    for (const tep_format_field* field = format.event->format.fields; field; field = field->next)
      fields_.push_back(field_of(*field, text, format));
    plan();
  }

  void instruct(diagnose_probe& probe, diagnose_layout& layout) const override {
    probe.record_size = record_size_;
    for (const Field& field : fields_) {
      if (!field.dynamic || probe.dynamic_count == DIAGNOSE_DYNAMIC) continue;
      probe.dynamic_offset[probe.dynamic_count] = field.offset;
      if (field.relative) probe.dynamic_relative |= 1U << probe.dynamic_count;
      ++probe.dynamic_count;
    }
    layout.count = static_cast<uint32_t>(captures_.size());
    std::ranges::copy(captures_, layout.captures);
  }

  nlohmann::json decode(const RawEvent& event) const override {
    nlohmann::json data = nlohmann::json::object();
    for (const Field& field : fields_) {
      if (field.name == "__syscall_nr") continue;
      if (field.offset + field.size > event.record.size()) continue;  // there was no room for it
      decode_field(field, event, data);
    }
    join_addresses(event, data);
    return data;
  }

 private:
  struct Field {
    std::string name, type;
    unsigned offset = 0, size = 0, element_size = 0;
    bool array = false, pointer = false, is_signed = false, text = false, dynamic = false,
         relative = false;
    bool symbol = false;  // it is the address of a function
    Names names{};
    int capture = -1;
    uint16_t capture_kind = 0;
  };

  Field field_of(const tep_format_field& from, const std::string& text,
                 const Format& format) const {
    Field field{.name = from.name,
                .type = from.type,
                .offset = static_cast<unsigned>(from.offset),
                .size = static_cast<unsigned>(from.size),
                .element_size = from.elementsize,
                .array = (from.flags & TEP_FIELD_IS_ARRAY) != 0,
                .pointer = (from.flags & TEP_FIELD_IS_POINTER) != 0,
                .is_signed = (from.flags & TEP_FIELD_IS_SIGNED) != 0,
                // It takes arrays of u8 for text as well.
                .text = (from.flags & TEP_FIELD_IS_STRING) != 0 && std::strstr(from.type, "char"),
                .dynamic = (from.flags & TEP_FIELD_IS_DYNAMIC) != 0 && from.size == 4,
                .relative = (from.flags & TEP_FIELD_IS_RELATIVE) != 0};
    if (!is_enter_) field.symbol = is_symbol(text, field.name);
    if (is_enter_) {
      const auto type = integer_type(field.type);
      field.is_signed = type.is_signed;
      if (!field.pointer) field.size = static_cast<unsigned>(type.size);
      if (const Names* names = syscall_argument_names(call_, field.name)) field.names = *names;
    } else {
      find_names(format.event->print_fmt.args, field.name, field.names);
    }
    return field;
  }

  // What the pointers of a system call's arguments point to is in the memory of its process.
  void plan() {
    for (Field& field : fields_) {
      record_size_ = std::max(record_size_, field.offset + (is_enter_ ? 8 : field.size));
      if (!is_enter_ || !field.pointer || captures_.size() == DIAGNOSE_CAPTURES) continue;
      uint16_t length = 0;
      if (std::ranges::count(field.type, '*') > 1) {
        if (field.name != "argv") continue;  // an environment holds secrets
        field.capture_kind = DIAGNOSE_STRINGS_AT;
      } else if (field.type.find("char *") != std::string::npos) {
        const bool read = field.type.starts_with("const") || call_ == "mount" || call_ == "uselib";
        if (!read || !is_text_argument(field.name)) continue;
        field.capture_kind = DIAGNOSE_STRING_AT;
      } else if (field.type == "struct sockaddr *") {
        // Of other calls it is a place for a result.
        if (call_ != "connect" && call_ != "bind" && call_ != "sendto") continue;
        field.capture_kind = DIAGNOSE_SOCKADDR_AT;
        length = static_cast<uint16_t>(field.offset + 8);
      } else {
        continue;
      }
      field.capture = static_cast<int>(captures_.size());
      captures_.push_back({.kind = field.capture_kind,
                           .source = static_cast<uint16_t>(field.offset),
                           .size = length,
                           .reserved = 0});
    }
  }

  void decode_field(const Field& field, const RawEvent& event, nlohmann::json& data) const {
    const Bytes bytes = event.record.subspan(field.offset, field.size);
    if (field.capture >= 0) {
      decode_capture(field, event, data);
    } else if (field.dynamic) {
      uint32_t where = 0;
      std::memcpy(&where, bytes.data(), sizeof(where));
      size_t begin = where & 0xffff;
      if (field.relative) begin += field.offset + sizeof(where);
      const size_t size = where >> 16;
      if (begin + size > event.record.size())
        data[field.name] = nullptr;
      else
        data[field.name] = show_array(field, event.record.subspan(begin, size));
    } else if (field.array || field.text) {
      data[field.name] = show_array(field, bytes);
    } else {
      show_number(field, read_unsigned(bytes), data);
    }
  }

  void decode_capture(const Field& field, const RawEvent& event, nlohmann::json& data) const {
    nlohmann::json strings = nlohmann::json::array();
    nlohmann::json value;
    for (const RawEvent::Item& item : event.items) {
      if (static_cast<int>(item.capture) != field.capture) continue;
      if (item.error != 0) {
        // Its page is not in memory, or it is no address at all: the kernel will tell the process.
        data["unreadable"].push_back(field.name);
      } else if (field.capture_kind == DIAGNOSE_STRING_AT) {
        value = show_text(item.bytes);
        if (item.more) data["cut"].push_back(field.name);
      } else if (field.capture_kind == DIAGNOSE_STRINGS_AT) {
        if (!item.bytes.empty()) strings.push_back(show_text(item.bytes));
        if (item.more) data["cut"].push_back(field.name);
      } else if (const auto address = show_sockaddr(item.bytes)) {
        data[call_ == "bind" ? "address" : "destination"] = address->address;
        data["family"] = address->family;
      }
    }
    if (event.header.truncated) data["cut"].push_back(field.name);
    if (field.capture_kind == DIAGNOSE_STRINGS_AT)
      data[field.name] = std::move(strings);
    else if (field.capture_kind == DIAGNOSE_STRING_AT)
      data[field.name] = std::move(value);  // null: not readable, or a null pointer
  }

  static nlohmann::json show_array(const Field& field, Bytes bytes) {
    if (field.text) return show_text(bytes);
    const bool address = field.name.find("addr") != std::string::npos;
    if (address && field.element_size == 1) {
      if (bytes.size() == 4) return show_address(2, bytes, std::nullopt);
      if (bytes.size() == 16) return show_address(10, bytes, std::nullopt);
      if (bytes.size() == 28)
        if (const auto shown = show_sockaddr(bytes)) return shown->address;
    }
    const size_t element = std::clamp<size_t>(field.element_size, 1, 8);
    constexpr size_t shown_max = 64;
    nlohmann::json values = nlohmann::json::array();
    for (size_t at = 0; at + element <= bytes.size() && values.size() < shown_max; at += element) {
      const uint64_t value = read_unsigned(bytes.subspan(at, element));
      if (field.is_signed)
        values.push_back(sign_extend(value, element));
      else
        values.push_back(value);
    }
    return values;
  }

  void show_number(const Field& field, uint64_t value, nlohmann::json& data) const {
    auto& shown = data[field.name];
    const int64_t with_sign = sign_extend(value, field.size);
    const bool result = is_exit_
                            ? field.name == "ret"
                            : field.is_signed && (field.name == "ret" || field.name == "err" ||
                                                  field.name == "error" || field.name == "errno");
    if (field.symbol && kernel_.symbols) {
      shown = kernel_.symbols->at(value);
    } else if (field.names.has(field.is_signed ? static_cast<uint64_t>(with_sign) : value)) {
      shown = field.names.show(field.is_signed ? static_cast<uint64_t>(with_sign) : value);
    } else if (field.pointer || field.name == "skaddr" || field.name == "call_site") {
      shown = show_hex(value);
    } else if (field.type == "bool") {
      shown = value != 0;
    } else if (field.type == "umode_t") {
      std::array<char, 16> octal;
      std::snprintf(octal.data(), octal.size(), "%#o", static_cast<unsigned>(value));
      shown = octal.data();
    } else if (field.type == "dev_t") {  // include/linux/kdev_t.h: as the kernel has it inside
      shown = std::to_string(value >> 20) + ":" + std::to_string(value & 0xfffff);
    } else if (field.is_signed) {
      shown = with_sign;
    } else {
      shown = value;
    }
    if (result && with_sign < 0 && !errno_name(with_sign).empty())
      data["errno"] = errno_name(with_sign);
  }

  // saddr, sport, daddr, dport and their IPv6 twins become source and destination.
  void join_addresses(const RawEvent& event, nlohmann::json& data) const {
    const auto number = [&](const char* name) -> std::optional<unsigned> {
      const auto field = std::ranges::find(fields_, name, &Field::name);
      if (field == fields_.end() || field->array ||
          field->offset + field->size > event.record.size())
        return std::nullopt;
      return static_cast<unsigned>(read_unsigned(event.record.subspan(field->offset, field->size)));
    };
    const auto family = number("family");
    for (const auto& [from, port, to] :
         {std::tuple{"saddr", "sport", "source"}, std::tuple{"daddr", "dport", "destination"}}) {
      const std::string field = std::string(from) + (family == 10U ? "_v6" : "");
      const auto port_number = number(port);
      if (!family || !port_number || !data.contains(field) || !data[field].is_string()) continue;
      const auto address = data[field].get<std::string>();
      // A struct sockaddr has its port already.
      if (address.find("]:") != std::string::npos || std::ranges::count(address, ':') == 1)
        data[to] = address;
      else
        data[to] =
            (family == 10U ? "[" + address + "]" : address) + ":" + std::to_string(*port_number);
      for (const char* joined : {"", "_v6"}) data.erase(std::string(from) + joined);
      data.erase(port);
    }
    if (family && data.contains("destination")) data["family"] = family_name(*family);
  }

  const KernelTypes& kernel_;
  std::string call_;
  bool is_enter_ = false, is_exit_ = false;
  std::vector<Field> fields_;
  std::vector<diagnose_capture> captures_;
  unsigned record_size_ = 8;
};

}  // namespace

Result<std::unique_ptr<Decoder>> tracepoint_decoder(const std::string& category,
                                                    const std::string& format,
                                                    const KernelTypes& kernel) {
  const auto parsed = parse(category, format);
  if (!parsed) return tl::make_unexpected(parsed.error());
  return std::make_unique<TracepointDecoder>(category, format, *parsed, kernel);
}

Result<std::vector<TargetArgument>> tracepoint_arguments(const std::string& category,
                                                         const std::string& format) {
  const auto parsed = parse(category, format);
  if (!parsed) return tl::make_unexpected(parsed.error());
  std::vector<TargetArgument> arguments;
  for (const tep_format_field* field = parsed->event->format.fields; field; field = field->next)
    if (std::string_view(field->name) != "__syscall_nr")
      arguments.push_back({.name = field->name, .type = field->type});
  return arguments;
}

std::optional<unsigned> tracepoint_field_offset(const std::string& category,
                                                const std::string& format,
                                                const std::string& field) {
  const auto parsed = parse(category, format);
  const tep_format_field* found = parsed ? tep_find_field(parsed->event, field.c_str()) : nullptr;
  if (!found) return std::nullopt;
  return static_cast<unsigned>(found->offset);
}

Names tracepoint_field_names(const std::string& category, const std::string& format,
                             const std::string& field) {
  Names names;
  if (const auto parsed = parse(category, format))
    find_names(parsed->event->print_fmt.args, field, names);
  return names;
}

}  // namespace ebpf_ai_monitor
