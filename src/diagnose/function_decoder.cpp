#include <bpf/btf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "diagnose/argument_names.h"
#include "diagnose/decoder.h"
#include "system/libbpf.h"

namespace ebpf_ai_monitor {
namespace {

// For pointers to these types, the target is captured.
const std::map<std::string, diagnose_capture_kind, std::less<>> captured_structs = {
    {"sock", DIAGNOSE_SOCK_AT},
    {"socket", DIAGNOSE_SOCKET_AT},
    {"sockaddr", DIAGNOSE_SOCKADDR_AT},
    {"sockaddr_unsized", DIAGNOSE_SOCKADDR_AT},
    {"sockaddr_in", DIAGNOSE_SOCKADDR_AT},
    {"sockaddr_in6", DIAGNOSE_SOCKADDR_AT},
    {"file", DIAGNOSE_FILE_AT},
    {"path", DIAGNOSE_PATH_AT},
    {"dentry", DIAGNOSE_DENTRY_AT},
    {"filename", DIAGNOSE_FILENAME_AT},
    {"task_struct", DIAGNOSE_TASK_AT},
    {"kernel_clone_args", DIAGNOSE_BYTES_AT}};

std::string type_name(const btf& types, unsigned id) {
  std::string suffix;
  for (;;) {
    const btf_type* type = btf__type_by_id(&types, id);
    if (id == 0 || !type) return "void" + suffix;
    const std::string name = btf__name_by_offset(&types, type->name_off);
    if (btf_is_ptr(type))
      suffix = " *" + (suffix.empty() ? "" : suffix.substr(1));
    else if (btf_is_const(type))
      return "const " + type_name(types, type->type) + suffix;
    else if (btf_is_func_proto(type))
      return "function" + suffix;
    else if (btf_is_array(type))
      return type_name(types, btf_array(type)->type) + "[]" + suffix;
    else if (btf_is_struct(type) || btf_is_fwd(type))
      return "struct " + name + suffix;
    else if (btf_is_union(type))
      return "union " + name + suffix;
    else if (btf_is_any_enum(type))
      return "enum " + name + suffix;
    else if (btf_is_int(type) || btf_is_typedef(type) || btf_is_float(type))
      return name + suffix;
    id = type->type;  // volatile, restrict, tags
  }
}

// What remains of a type without modifiers and typedefs.
const btf_type* plain_type(const btf& types, unsigned id, unsigned* plain_id = nullptr) {
  const btf_type* type = btf__type_by_id(&types, id);
  while (type && (btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type))) {
    id = type->type;
    type = btf__type_by_id(&types, id);
  }
  if (plain_id) *plain_id = id;
  return id == 0 ? nullptr : type;
}

// A scalar, as in a register or a struct.
struct Scalar {
  enum class Kind { number, boolean, pointer, enumeration, none } kind = Kind::none;
  size_t size = 8;
  bool is_signed = false;
  unsigned enumeration = 0;
  bool allocation_flags = false;
};

Scalar scalar(const btf& types, unsigned id) {
  unsigned plain_id = 0;
  const btf_type* type = plain_type(types, id, &plain_id);
  if (!type) return {};
  if (btf_is_ptr(type)) return {.kind = Scalar::Kind::pointer};
  if (btf_is_any_enum(type))
    return {.kind = Scalar::Kind::enumeration,
            .size = type->size,
            .is_signed = btf_kflag(type) != 0,
            .enumeration = plain_id};
  if (!btf_is_int(type) || type->size > 8) return {};
  return {.kind = (btf_int_encoding(type) & BTF_INT_BOOL) ? Scalar::Kind::boolean
                                                          : Scalar::Kind::number,
          .size = type->size,
          .is_signed = (btf_int_encoding(type) & BTF_INT_SIGNED) != 0,
          .allocation_flags = type_name(types, id) == "gfp_t"};
}

// A struct that the program has copied; none if it is not complete.
template <typename T>
std::optional<T> read_whole(Bytes bytes) {
  if (bytes.size() != sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

class FunctionDecoder : public Decoder {
 public:
  FunctionDecoder(BpfOwned<btf> module_types, const btf* types, const btf_type* prototype,
                  const std::string& function, bool returns, const KernelTypes& kernel)
      : module_types_(std::move(module_types)),
        types_(types),
        connects_(function.find("connect") != std::string::npos),
        returns_(returns),
        kernel_(kernel) {
    if (!prototype) return;  // then the arguments are called by their numbers
    known_ = true;
    const auto count = btf_vlen(prototype);
    const btf_param* parameters = btf_params(prototype);
    for (unsigned i = 0; i < count && i < DIAGNOSE_ARGUMENTS; ++i) {
      // After a struct by value, or `...`, the register of the next argument is not known.
      Argument argument{.name = btf__name_by_offset(types_, parameters[i].name_off),
                        .scalar = scalar(*types_, parameters[i].type)};
      if (argument.scalar.kind == Scalar::Kind::none) break;
      if (argument.name.empty()) argument.name = "arg" + std::to_string(i + 1);
      if (argument.scalar.kind == Scalar::Kind::pointer) plan(argument, parameters[i].type, i);
      // The length of the address in the argument before it: "uaddr, addr_len".
      if (i > 0 && arguments_.back().kind == DIAGNOSE_SOCKADDR_AT &&
          argument.scalar.kind == Scalar::Kind::number &&
          argument.name.find("len") != std::string::npos)
        captures_[static_cast<size_t>(arguments_.back().capture)].size =
            static_cast<uint16_t>(8 * i);
      arguments_.push_back(std::move(argument));
    }
    result_ = scalar(*types_, prototype->type);
  }

  void instruct(diagnose_probe& probe, diagnose_layout& layout) const override {
    probe.record_size = sizeof(diagnose_call);
    layout.count = static_cast<uint16_t>(captures_.size());
    std::ranges::copy(captures_, layout.captures);
    if (!has_result()) return;
    probe.error_at = can_fail() ? 1 : 0;
    probe.error_size = static_cast<uint16_t>(result_.size);
  }

  std::vector<Filterable> filterable() const override {
    std::vector<Filterable> list;
    for (size_t i = 0; i < arguments_.size(); ++i) {
      const Argument& argument = arguments_[i];
      if (argument.kind == DIAGNOSE_STRING_AT || argument.kind == DIAGNOSE_FILENAME_AT)
        list.push_back(
            {.name = argument.name, .at = static_cast<unsigned>(argument.capture), .text = true});
      else if (argument.capture < 0)
        list.push_back({.name = argument.name,
                        .at = static_cast<unsigned>(8 * i),
                        .size = static_cast<unsigned>(argument.scalar.size),
                        .is_signed = argument.scalar.is_signed});
    }
    return list;
  }

  bool has_addresses() const override {
    return std::ranges::any_of(arguments_, [](const Argument& argument) {
      return argument.kind == DIAGNOSE_SOCK_AT || argument.kind == DIAGNOSE_SOCKET_AT ||
             argument.kind == DIAGNOSE_SOCKADDR_AT;
    });
  }

  // Without a prototype, there is a result: the register for results.
  bool has_result() const override {
    return returns_ && (!known_ || result_.kind != Scalar::Kind::none);
  }
  // include/linux/err.h: this includes pointers.
  bool can_fail() const override {
    return has_result() && (result_.is_signed || result_.kind == Scalar::Kind::pointer);
  }

  nlohmann::json decode(const RawEvent& event) const override {
    nlohmann::json data = nlohmann::json::object();
    diagnose_call call{};
    if (event.record.size() < sizeof(call)) return data;
    std::memcpy(&call, event.record.data(), sizeof(call));
    if (call.has_entry != 0) decode_arguments(call, event, data);
    if (!returns_) return data;
    if (call.has_entry != 0)
      data["latency_us"] = static_cast<double>(call.latency_ns) / 1000;
    else
      data["latency_us"] = nullptr;  // its call began before the probe, or is within another one
    decode_result(call.result, data);
    return data;
  }

 private:
  struct Argument {
    std::string name;
    Scalar scalar;
    int capture = -1;
    diagnose_capture_kind kind{};
    unsigned target = 0;  // type id of its target
  };

  void plan(Argument& argument, unsigned type_id, unsigned number) {
    const btf_type* pointer = plain_type(*types_, type_id);
    const btf_type* to = plain_type(*types_, pointer->type, &argument.target);
    if (!to || captures_.size() == DIAGNOSE_CAPTURES) return;
    const std::string name = btf__name_by_offset(types_, to->name_off);
    uint16_t size = 0;
    if (btf_is_composite(to) || btf_is_fwd(to)) {
      const auto found = captured_structs.find(name);
      if (found == captured_structs.end()) return;
      argument.kind = found->second;
      if (argument.kind == DIAGNOSE_BYTES_AT)
        size = static_cast<uint16_t>(std::min<unsigned>(to->size, 256));
    } else if (name == "char" && type_name(*types_, type_id).starts_with("const") &&
               is_text_argument(argument.name)) {
      argument.kind = DIAGNOSE_STRING_AT;
    } else {
      return;
    }
    argument.capture = static_cast<int>(captures_.size());
    captures_.push_back({.kind = static_cast<uint16_t>(argument.kind),
                         .source = static_cast<uint16_t>(8 * number),
                         .size = size,
                         .reserved = 0});
  }

  void decode_arguments(const diagnose_call& call, const RawEvent& event,
                        nlohmann::json& data) const {
    if (!known_) {
      for (size_t i = 0; i < DIAGNOSE_ARGUMENTS; ++i)
        data["arg" + std::to_string(i + 1)] = show_hex(call.arguments[i]);
      return;
    }
    for (size_t i = 0; i < arguments_.size(); ++i) {
      const Argument& argument = arguments_[i];
      data[argument.name] = show_scalar(argument.scalar, call.arguments[i]);
      if (argument.capture >= 0 && call.arguments[i] != 0) decode_capture(argument, event, data);
    }
  }

  nlohmann::json show_scalar(const Scalar& type, uint64_t value) const {
    if (type.size < 8) value &= (1ULL << (8 * type.size)) - 1;
    const int64_t with_sign = sign_extend(value, type.size);
    if (type.allocation_flags && !kernel_.allocation_flags.values.empty())
      return kernel_.allocation_flags.show(value);
    switch (type.kind) {
      case Scalar::Kind::boolean:
        return value != 0;
      case Scalar::Kind::pointer:
        return show_hex(value);
      case Scalar::Kind::enumeration:
        return show_enumeration(type, type.is_signed ? with_sign : static_cast<int64_t>(value));
      default:
        break;
    }
    if (type.is_signed) return with_sign;
    return value;
  }

  nlohmann::json show_enumeration(const Scalar& type, int64_t value) const {
    const btf_type* enumeration = btf__type_by_id(types_, type.enumeration);
    for (unsigned i = 0; i < btf_vlen(enumeration); ++i) {
      const bool wide = btf_is_enum64(enumeration);
      const auto its = wide ? static_cast<int64_t>(btf_enum64_value(&btf_enum64(enumeration)[i]))
                            : int64_t{btf_enum(enumeration)[i].val};
      const auto name =
          wide ? btf_enum64(enumeration)[i].name_off : btf_enum(enumeration)[i].name_off;
      if (its == value) return btf__name_by_offset(types_, name);
    }
    return value;
  }

  void decode_capture(const Argument& argument, const RawEvent& event, nlohmann::json& data) const {
    std::vector<std::string> names;
    std::optional<diagnose_file> file;
    bool cut = event.header.truncated != 0;
    for (const RawEvent::Item& item : event.items) {
      if (static_cast<int>(item.capture) != argument.capture) continue;
      cut |= item.more;
      if (item.error != 0) {
        data["unreadable"].push_back(argument.name);
        continue;
      }
      switch (argument.kind) {
        case DIAGNOSE_STRING_AT:
        case DIAGNOSE_FILENAME_AT:
          data[argument.name] = show_text(item.bytes);
          break;
        case DIAGNOSE_SOCKADDR_AT:
          if (const auto address = show_sockaddr(item.bytes)) {
            data[argument.name] = address->address;
            // In a call that connects it, this argument is the destination, which the socket does
            // not have yet.
            if (connects_) data["destination"] = address->address;
            if (!data.contains("family")) data["family"] = address->family;
          }
          break;
        case DIAGNOSE_SOCK_AT:
        case DIAGNOSE_SOCKET_AT:
          if (const auto sock = read_whole<diagnose_sock>(item.bytes)) {
            // The first socket is shown at the top level, where readers look for it.
            if (auto shown = show_sock(*sock); !data.contains("source"))
              data.update(shown);
            else
              data[argument.name] = shown;
          }
          break;
        case DIAGNOSE_FILE_AT:
        case DIAGNOSE_PATH_AT:
        case DIAGNOSE_DENTRY_AT:
          if (!file && item.bytes.size() == sizeof(diagnose_file))
            file = read_whole<diagnose_file>(item.bytes);
          else if (!item.bytes.empty())
            names.push_back(show_text(item.bytes));
          break;
        case DIAGNOSE_TASK_AT:
          if (const auto task = read_whole<diagnose_task>(item.bytes))
            data[argument.name] = {{"process_id", task->pid},
                                   {"thread_id", task->tid},
                                   {"name", show_text(task->comm)}};
          break;
        case DIAGNOSE_BYTES_AT:
          data[argument.name] = show_members(argument.target, item.bytes);
          break;
        default:
          break;
      }
    }
    if (file) data[argument.name] = (cut ? "…" : "") + show_path(*file, names);
    if (cut) data["cut"].push_back(argument.name);
  }

  // The numbers and pointers in a struct that are not zero, without nested structs.
  nlohmann::json show_members(unsigned type_id, Bytes bytes) const {
    nlohmann::json members = nlohmann::json::object();
    const btf_type* type = btf__type_by_id(types_, type_id);
    for (unsigned i = 0; i < btf_vlen(type); ++i) {
      const btf_member& member = btf_members(type)[i];
      const Scalar is = scalar(*types_, member.type);
      const unsigned bit = btf_member_bit_offset(type, i);
      if (is.kind == Scalar::Kind::none || btf_member_bitfield_size(type, i) != 0 ||
          bit / 8 + is.size > bytes.size())
        continue;
      uint64_t value = 0;
      std::memcpy(&value, bytes.data() + bit / 8, is.size);
      const std::string name = btf__name_by_offset(types_, member.name_off);
      if (value == 0) continue;
      if (name == "flags" &&
          std::string_view(btf__name_by_offset(types_, type->name_off)) == "kernel_clone_args")
        members[name] = clone_flag_names().show(value);
      else
        members[name] = show_scalar(is, value);
    }
    return members;
  }

  void decode_result(uint64_t result, nlohmann::json& data) const {
    if (!known_) {
      data["ret"] = show_hex(result);
      return;
    }
    if (!has_result()) return;
    const int64_t with_sign = sign_extend(result, result_.size);
    data["ret"] = show_scalar(result_, result);
    // include/linux/err.h: MAX_ERRNO.
    if (can_fail() && with_sign < 0 && with_sign >= -4095) {
      if (result_.kind == Scalar::Kind::pointer) data["ret"] = with_sign;
      if (const auto name = errno_name(with_sign); !name.empty()) data["errno"] = name;
    }
  }

  BpfOwned<btf> module_types_;
  const btf* types_;
  bool connects_;
  bool returns_;
  bool known_ = false;
  const KernelTypes& kernel_;
  std::vector<Argument> arguments_;
  Scalar result_;
  std::vector<diagnose_capture> captures_;
};

}  // namespace

Result<std::unique_ptr<Decoder>> function_decoder(const std::string& function, bool returns,
                                                  const KernelTypes& kernel) {
  BpfOwned<btf> module_types;
  const btf* types = kernel.types;
  const std::string module = types && kernel.symbols() ? kernel.symbols()->module(function) : "";
  if (types && !module.empty()) {
    module_types.reset(btf__load_module_btf(module.c_str(), const_cast<btf*>(types)));
    types = module_types.get();
  }
  const btf_type* prototype = nullptr;
  if (types) {
    const int id = btf__find_by_name_kind(types, function.c_str(), BTF_KIND_FUNC);
    if (id > 0)
      prototype = btf__type_by_id(types, btf__type_by_id(types, static_cast<unsigned>(id))->type);
  }
  return std::make_unique<FunctionDecoder>(std::move(module_types), types, prototype, function,
                                           returns, kernel);
}

std::vector<TargetArgument> function_arguments(const btf& types, unsigned function_type) {
  std::vector<TargetArgument> arguments;
  const btf_type* prototype = btf__type_by_id(&types, btf__type_by_id(&types, function_type)->type);
  for (unsigned i = 0; i < btf_vlen(prototype); ++i) {
    const btf_param& parameter = btf_params(prototype)[i];
    if (parameter.type == 0) continue;  // ...
    arguments.push_back({.name = btf__name_by_offset(&types, parameter.name_off),
                         .type = type_name(types, parameter.type)});
  }
  return arguments;
}

}  // namespace ebpf_ai_monitor
