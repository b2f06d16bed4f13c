// Text that others wrote, made fit to be shown.
#pragma once

#include <string>

namespace ebpf_ai_monitor {

// One line without anything that moves a cursor: control characters become '?'.
std::string printable(std::string text);

// At most `bytes` of it, never cut within a UTF-8 sequence; "~" is at the end of what was cut.
std::string shortened(std::string text, size_t bytes);

// A table's cell: printable, and just `width` bytes.
std::string cell(std::string text, size_t width);

// For Pango markup and XML.
std::string escape_markup(const std::string& text);

}  // namespace ebpf_ai_monitor
