// Turns what a probe's program has copied into named arguments, as the kernel describes them.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/kernel_symbols.h"
#include "diagnose/target_list.h"
#include "diagnose/values.h"
#include "ebpf_ai_monitor/diagnose_events.h"
#include "system/result.h"

struct btf;

namespace ebpf_ai_monitor {

// An event as the kernel sent it, taken apart.
struct RawEvent {
  struct Item {
    unsigned capture = 0;
    bool more = false;
    int error = 0;  // errno; 0: `bytes` are there
    Bytes bytes;
  };

  // The views point into `bytes`, which must live as long. None if the sizes in it contradict each
  // other.
  static std::optional<RawEvent> parse(Bytes bytes);

  diagnose_event header;
  Bytes record;
  std::vector<Item> items;
};

// An argument for which there can be a filter.
struct Filterable {
  std::string name;
  unsigned at = 0;  // its place in the record; for text, the capture
  unsigned size = 8;
  bool is_signed = false;
  bool text = false;
  Names names{};  // names of its values
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Tells the program what to copy and capture.
  virtual void instruct(diagnose_probe& probe, diagnose_layout& layout) const = 0;
  virtual nlohmann::json decode(const RawEvent& event) const = 0;
  virtual std::vector<Filterable> filterable() const { return {}; }
  // Whether addresses are captured, whether there is a result, and whether the result may be an
  // error.
  virtual bool has_addresses() const { return false; }
  virtual bool has_result() const { return false; }
  virtual bool can_fail() const { return has_result(); }
};

// What decoders share. It must outlive them.
class KernelTypes {
 public:
  const btf* types = nullptr;  // null: the kernel has none
  Names allocation_flags;      // the names of gfp_t, from the kmem tracepoints

  // Read at the first use, because this takes a while.
  const Result<KernelSymbols>& symbols() const {
    if (!symbols_) symbols_ = KernelSymbols::read();
    return *symbols_;
  }

 private:
  mutable std::optional<Result<KernelSymbols>> symbols_;
};

// `format` is the contents of the file of that name in tracefs.
Result<std::unique_ptr<Decoder>> tracepoint_decoder(const std::string& category,
                                                    const std::string& format,
                                                    const KernelTypes& kernel);
// For a system call with its result, a diagnose_call: by the format of its sys_enter tracepoint.
Result<std::unique_ptr<Decoder>> system_call_decoder(const std::string& format,
                                                     const KernelTypes& kernel);
// By its prototype, or by registers if the kernel has no prototype. `returns`: for its return.
Result<std::unique_ptr<Decoder>> function_decoder(const std::string& function, bool returns,
                                                  const KernelTypes& kernel);

// The names and types of the arguments.
Result<std::vector<TargetArgument>> tracepoint_arguments(const std::string& category,
                                                         const std::string& format);
std::vector<TargetArgument> function_arguments(const btf& types, unsigned function_type);

// The names of a field's values, from `print fmt` of the format; empty if there are none.
Names tracepoint_field_names(const std::string& category, const std::string& format,
                             const std::string& field);

// The place of a field in the record.
std::optional<unsigned> tracepoint_field_offset(const std::string& category,
                                                const std::string& format,
                                                const std::string& field);

// Whether the text of an argument with this name is captured: paths and names, but never data that
// is read or written.
bool is_text_argument(std::string_view name);

}  // namespace ebpf_ai_monitor
