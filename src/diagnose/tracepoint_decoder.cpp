#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <traceevent/event-parse.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "diagnose/argument_names.h"
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
  // It fails if it cannot parse the `print fmt`, but then it still has the fields.
  tep_parse_format(format.tep.get(), &format.event, text.data(), text.size(), category.c_str());
  if (!format.event || format.event->format.nr_common == 0)
    return fail("cannot parse the format of a tracepoint in " + category);
  // A place in a record has 16 bits, because __data_loc has no room for more.
  for (const tep_format_field* field = format.event->format.fields; field; field = field->next)
    if (field->offset < 0 || field->size < 0 || field->offset > UINT16_MAX ||
        field->size > UINT16_MAX)
      return fail("a tracepoint in " + category + " has the field " + field->name +
                  ", which is out of bounds");
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

// "%pS" and similar ones print an address as the function that contains it:
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

// An argument of a system call takes 8 bytes in its record, whatever its type.
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

// Arguments of system calls that are file descriptors.
bool is_file_descriptor(const std::string& argument) {
  constexpr std::array names = {"fd",     "fildes", "oldfd", "in_fd",  "out_fd", "fd_in",
                                "fd_out", "epfd",   "dfd",   "olddfd", "newdfd"};
  return std::ranges::find(names, argument) != names.end();
}

// A system call that removes what its arguments name, or after which nothing can be read.
bool is_looked_at_before(const std::string& call) {
  return call == "close" || call == "execve" || call == "execveat";
}

class TracepointDecoder : public Decoder {
 public:
  // `joined`: the record is a diagnose_call, for a system call by the format of its sys_enter.
  TracepointDecoder(const std::string& category, const std::string& text, const Format& format,
                    const KernelTypes& kernel, bool joined)
      : kernel_(kernel), joined_(joined), name_(format.event->name) {
    const std::string& name = name_;
    const bool system_calls = category == "syscalls";
    is_enter_ = system_calls && name.starts_with("sys_enter_");
    is_exit_ = (system_calls && name.starts_with("sys_exit_")) ||
               (category == "raw_syscalls" && name == "sys_exit");
    if (is_enter_) call_ = name.substr(std::strlen("sys_enter_"));
    for (const tep_format_field* field = format.event->format.fields; field; field = field->next) {
      if (joined_ && std::string_view(field->name) == "__syscall_nr") continue;
      fields_.push_back(field_of(*field, text, format));
      if (joined_) fields_.back().offset = static_cast<unsigned>(8 * (fields_.size() - 1));
    }
    plan();
    if (category == "sched" && name == "sched_process_exit")
      captures_.push_back({.kind = DIAGNOSE_END_OF_SELF, .source = 0, .size = 0, .reserved = 0});
  }

  void instruct(diagnose_probe& probe, diagnose_layout& layout) const override {
    probe.record_size = joined_ ? sizeof(diagnose_call) : record_size_;
    for (const Field& field : fields_) {
      if (!field.dynamic || probe.dynamic_count == DIAGNOSE_DYNAMIC) continue;
      probe.dynamic_offset[probe.dynamic_count] = field.offset;
      if (field.relative) probe.dynamic_relative |= 1U << probe.dynamic_count;
      ++probe.dynamic_count;
    }
    layout.count = static_cast<uint16_t>(captures_.size());
    layout.early = is_looked_at_before(call_) ? 1 : 0;
    std::ranges::copy(captures_, layout.captures);
    if (const Field* error = error_field()) {
      probe.error_at = static_cast<uint16_t>(error->offset);
      probe.error_size = static_cast<uint16_t>(error->size);
    }
  }

  std::vector<Filterable> filterable() const override {
    std::vector<Filterable> list;
    for (const Field& field : fields_) {
      if (field.name == "__syscall_nr" || field.array || field.dynamic || field.text) continue;
      if (field.capture_kind == DIAGNOSE_STRING_AT)
        list.push_back(
            {.name = field.name, .at = static_cast<unsigned>(field.capture), .text = true});
      else if (field.capture < 0 || field.capture_kind == DIAGNOSE_FD_AT)
        list.push_back({.name = field.name,
                        .at = field.offset,
                        .size = field.size,
                        .is_signed = field.is_signed,
                        .names = field.names});
    }
    return list;
  }

  bool has_addresses() const override {
    return std::ranges::any_of(captures_, [](const diagnose_capture& capture) {
      return capture.kind == DIAGNOSE_SOCKADDR_AT || capture.kind == DIAGNOSE_FD_AT ||
             capture.kind == DIAGNOSE_MESSAGE_AT;
    });
  }

  bool has_result() const override { return joined_ || error_field() != nullptr; }

  nlohmann::json decode(const RawEvent& event) const override {
    nlohmann::json data = nlohmann::json::object();
    for (const Field& field : fields_) {
      if (field.name == "__syscall_nr") continue;
      if (field.offset + field.size > event.record.size()) continue;  // there was no room for it
      if (!joined_ || call_of(event).has_entry != 0) decode_field(field, event, data);
    }
    for (const RawEvent::Item& item : event.items)
      if (item.capture < captures_.size()) decode_other(captures_[item.capture], item, event, data);
    join_addresses(event, data);
    if (joined_) decode_result(call_of(event), data);
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

  static diagnose_call call_of(const RawEvent& event) {
    diagnose_call call{};
    std::memcpy(&call, event.record.data(), std::min(sizeof(call), event.record.size()));
    return call;
  }

  // The field that can say that what is traced has failed.
  const Field* error_field() const {
    for (const Field& field : fields_)
      if (!is_enter_ && field.is_signed && !field.array && (field.size == 4 || field.size == 8) &&
          (field.name == "ret" || field.name == "err" || field.name == "error"))
        return &field;
    return nullptr;
  }

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
                // The library also takes arrays of u8 for text.
                .text = (from.flags & TEP_FIELD_IS_STRING) != 0 && std::strstr(from.type, "char"),
                .dynamic = (from.flags & TEP_FIELD_IS_DYNAMIC) != 0 && from.size == 4,
                .relative = (from.flags & TEP_FIELD_IS_RELATIVE) != 0};
    if (!is_enter_) field.symbol = is_symbol(text, field.name);
    if (is_enter_) {
      const auto type = integer_type(field.type);
      field.is_signed = type.is_signed;
      if (!field.pointer) field.size = static_cast<unsigned>(type.size);
      if (!field.pointer && is_file_descriptor(field.name)) {  // mmap() has it as a long
        field.size = 4;
        field.is_signed = true;
      }
      if (const Names* names = syscall_argument_names(call_, field.name)) field.names = *names;
    } else {
      find_names(format.event->print_fmt.args, field.name, field.names);
      if (const Names* names = tracepoint_argument_names(name_, field.name)) field.names = *names;
    }
    return field;
  }

  int capture(diagnose_capture_kind kind, unsigned source, unsigned size = 0) {
    captures_.push_back({.kind = static_cast<uint16_t>(kind),
                         .source = static_cast<uint16_t>(source),
                         .size = static_cast<uint16_t>(size),
                         .reserved = 0});
    return static_cast<int>(captures_.size() - 1);
  }

  // The pointers in a system call's arguments point into the memory of its process.
  void plan() {
    for (Field& field : fields_) {
      record_size_ = std::max(record_size_, field.offset + (is_enter_ ? 8 : field.size));
      if (!is_enter_ || captures_.size() == DIAGNOSE_CAPTURES) continue;
      unsigned length = 0;
      if (!field.pointer) {
        if (!is_file_descriptor(field.name)) continue;
        field.capture_kind = DIAGNOSE_FD_AT;
      } else if (std::ranges::count(field.type, '*') > 1) {
        if (field.name != "argv") continue;  // an environment holds secrets
        field.capture_kind = DIAGNOSE_STRINGS_AT;
      } else if (field.type.find("char *") != std::string::npos) {
        const bool read = field.type.starts_with("const") || call_ == "mount" || call_ == "uselib";
        if (!read || !is_text_argument(field.name)) continue;
        field.capture_kind = DIAGNOSE_STRING_AT;
      } else if (field.type == "struct sockaddr *") {
        // In other calls, this is a place for a result.
        if (call_ != "connect" && call_ != "bind" && call_ != "sendto") continue;
        field.capture_kind = DIAGNOSE_SOCKADDR_AT;
        length = field.offset + 8;
      } else if (call_ == "sendmsg" || call_ == "sendmmsg") {
        field.capture_kind = DIAGNOSE_MESSAGE_AT;
      } else {
        continue;
      }
      field.capture =
          capture(static_cast<diagnose_capture_kind>(field.capture_kind), field.offset, length);
    }
    // This capture comes after all addresses, because they decide whether it is a DNS message.
    const auto place = [&](std::initializer_list<const char*> names) {
      const auto found = std::ranges::find_if(fields_, [&](const Field& field) {
        return std::ranges::find(names, field.name) != names.end();
      });
      return found == fields_.end() ? 0 : found->offset;
    };
    if (!is_enter_) return;
    if (call_ == "sendmsg" || call_ == "sendmmsg")
      capture(DIAGNOSE_DNS_AT, place({"msg", "mmsg"}));
    else if (call_ == "sendto" || call_ == "write")
      capture(DIAGNOSE_DNS_AT, place({"buff", "buf"}), place({"len", "count"}));
    else if (joined_ && call_.starts_with("accept"))
      capture(DIAGNOSE_FD_AT, offsetof(diagnose_call, result));
  }

  void decode_field(const Field& field, const RawEvent& event, nlohmann::json& data) const {
    const Bytes bytes = event.record.subspan(field.offset, field.size);
    if (field.capture_kind == DIAGNOSE_FD_AT) {
      show_number(field, read_unsigned(bytes), data);
      decode_file(field, event, data);
    } else if (field.capture_kind == DIAGNOSE_MESSAGE_AT) {
      show_number(field, read_unsigned(bytes), data);
      decode_capture(field, event, data);
    } else if (field.capture >= 0) {
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

  struct OpenFile {
    std::optional<diagnose_sock> sock;
    std::string path;
  };

  static std::optional<OpenFile> open_file(size_t capture, const RawEvent& event) {
    std::optional<diagnose_file> file;
    std::vector<std::string> names;
    OpenFile found;
    for (const RawEvent::Item& item : event.items) {
      if (item.capture != capture || item.error != 0) continue;
      if (!file && item.bytes.size() == sizeof(diagnose_file)) {
        std::memcpy(&file.emplace(), item.bytes.data(), sizeof(diagnose_file));
      } else if (file && S_ISSOCK(file->mode) && item.bytes.size() == sizeof(diagnose_sock)) {
        std::memcpy(&found.sock.emplace(), item.bytes.data(), sizeof(diagnose_sock));
      } else if (!item.bytes.empty()) {
        names.push_back(show_text(item.bytes));
      }
    }
    if (!file) return std::nullopt;
    if (!found.sock) found.path = show_path(*file, names);
    return found;
  }

  // The file of `fd` is shown at the top level, where readers look for it.
  static void decode_file(const Field& field, const RawEvent& event, nlohmann::json& data) {
    const auto file = open_file(static_cast<size_t>(field.capture), event);
    if (!file) return;
    const bool first = field.name == "fd" || field.name == "fildes";
    if (!file->sock) {
      data[first ? "file" : field.name + "_file"] = file->path;
    } else if (first) {
      data.update(show_sock(*file->sock));
    } else {
      const nlohmann::json shown = show_sock(*file->sock);
      data[field.name + "_file"] =
          shown.value("source", "") + " -> " + shown.value("destination", "");
    }
  }

  // Decodes a capture that does not belong to an argument.
  void decode_other(const diagnose_capture& capture, const RawEvent::Item& item,
                    const RawEvent& event, nlohmann::json& data) const {
    if (item.error != 0) return;
    if (capture.kind == DIAGNOSE_DNS_AT) {
      if (const auto query = show_dns_query(item.bytes)) data["query"] = *query;
    } else if (capture.kind == DIAGNOSE_FD_AT && joined_ &&
               capture.source == offsetof(diagnose_call, result)) {
      const auto file = open_file(item.capture, event);
      if (file && file->sock) data["peer"] = show_sock(*file->sock).value("destination", "");
    } else if (capture.kind == DIAGNOSE_END_OF_SELF && item.bytes.size() == sizeof(diagnose_end)) {
      diagnose_end end{};
      std::memcpy(&end, item.bytes.data(), sizeof(end));
      const auto status = static_cast<int>(end.exit_code);
      if (WIFSIGNALED(status)) {
        data["signal"] = signal_name(WTERMSIG(status));
        if (WCOREDUMP(status)) data["core_dumped"] = true;
      } else {
        data["exit_code"] = WEXITSTATUS(status);
      }
      const uint64_t age_ms = end.age_ns / 1'000'000;
      data["age_s"] = static_cast<double>(age_ms) / 1000;
      data["last_thread"] = end.last != 0;
    }
  }

  void decode_result(const diagnose_call& call, nlohmann::json& data) const {
    if (call.compat != 0) data["compat"] = true;
    if (call.has_result == 0) return;
    const auto result = static_cast<int64_t>(call.result);
    const bool address = call_ == "mmap" || call_ == "mremap" || call_ == "brk" || call_ == "shmat";
    if (const auto name = errno_name(result); result < 0 && !name.empty()) {
      data["ret"] = result;
      data["errno"] = name;
    } else {
      data["ret"] = address ? nlohmann::json(show_hex(call.result)) : nlohmann::json(result);
    }
    data["latency_us"] = call.has_entry != 0
                             ? nlohmann::json(static_cast<double>(call.latency_ns) / 1000)
                             : nlohmann::json();
  }

  void decode_capture(const Field& field, const RawEvent& event, nlohmann::json& data) const {
    nlohmann::json strings = nlohmann::json::array();
    nlohmann::json value;
    for (const RawEvent::Item& item : event.items) {
      if (static_cast<int>(item.capture) != field.capture) continue;
      if (item.error != 0) {
        // Its page is not in memory, or it is not an address: the kernel will report that to the
        // process.
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
    if (event.header.truncated && field.capture_kind != DIAGNOSE_MESSAGE_AT)
      data["cut"].push_back(field.name);
    if (field.capture_kind == DIAGNOSE_STRINGS_AT)
      data[field.name] = std::move(strings);
    else if (field.capture_kind == DIAGNOSE_STRING_AT)
      data[field.name] = std::move(value);  // null: it cannot be read, or is a null pointer
  }

  static nlohmann::json show_array(const Field& field, Bytes bytes) {
    if (field.text) return show_text(bytes);
    const bool address = field.name.find("addr") != std::string::npos;
    if (address && field.element_size == 1) {
      if (bytes.size() == 4) return show_address(2, bytes, std::nullopt);
      if (bytes.size() == 16) return show_address(10, bytes, std::nullopt);
      if (bytes.size() == sizeof(sockaddr_in6))
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
    if (field.name == "prev_state") {
      shown = show_task_state(field.names, value);
    } else if (field.symbol && kernel_.symbols()) {
      shown = kernel_.symbols()->at(value);
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
    } else if (field.type == "dev_t") {  // include/linux/kdev_t.h: the kernel's internal form
      shown = std::to_string(value >> 20) + ":" + std::to_string(value & 0xfffff);
    } else if (field.is_signed) {
      shown = with_sign;
    } else {
      shown = value;
    }
    if (result && with_sign < 0 && !errno_name(with_sign).empty())
      data["errno"] = errno_name(with_sign);
  }

  // saddr, sport, daddr, dport and those for IPv6 become source and destination.
  void join_addresses(const RawEvent& event, nlohmann::json& data) const {
    const auto field_called = [&](const std::string& name) -> const Field* {
      const auto field = std::ranges::find(fields_, name, &Field::name);
      return field == fields_.end() || field->offset + field->size > event.record.size() ? nullptr
                                                                                         : &*field;
    };
    const auto number = [&](const char* name) -> std::optional<unsigned> {
      const Field* field = field_called(name);
      if (!field || field->array) return std::nullopt;
      return static_cast<unsigned>(read_unsigned(event.record.subspan(field->offset, field->size)));
    };
    const auto family = number("family");
    for (const auto& [from, port, to] :
         {std::tuple{"saddr", "sport", "source"}, std::tuple{"daddr", "dport", "destination"}}) {
      const Field* plain = field_called(from);
      // A struct sockaddr has its family and port in it.
      const bool whole = plain && plain->size == sizeof(sockaddr_in6);
      const Field* field = whole || family != 10U ? plain : field_called(std::string(from) + "_v6");
      const auto port_number = number(port);
      if (!field || !data[field->name].is_string() || !(whole || (family && port_number))) continue;
      const auto address = data[field->name].get<std::string>();
      data[to] = whole ? address
                       : (family == 10U ? "[" + address + "]" : address) + ":" +
                             std::to_string(*port_number);
      for (const char* joined : {"", "_v6"}) data.erase(std::string(from) + joined);
      data.erase(port);
    }
    if (family && data.contains("destination")) data["family"] = family_name(*family);
  }

  // include/trace/events/sched.h: no bit means running; the bit above all of them means preempted.
  static std::string show_task_state(const Names& names, uint64_t value) {
    uint64_t all = 0;
    for (const auto& [bit, name] : names.values) all |= bit;
    const std::string state = (value & all) != 0 ? names.show(value & all) : "R";
    return state + ((value & ~all) != 0 ? "+" : "");
  }

  const KernelTypes& kernel_;
  const bool joined_;
  const std::string name_;
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
  return std::make_unique<TracepointDecoder>(category, format, *parsed, kernel, false);
}

Result<std::unique_ptr<Decoder>> system_call_decoder(const std::string& format,
                                                     const KernelTypes& kernel) {
  const auto parsed = parse("syscalls", format);
  if (!parsed) return tl::make_unexpected(parsed.error());
  return std::make_unique<TracepointDecoder>("syscalls", format, *parsed, kernel, true);
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
