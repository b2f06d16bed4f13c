#pragma once

#include <cstddef>
#include <string>

#include "core/panel.h"

namespace ebpf_ai_monitor {

// As standard output is: a terminal's width, else 80 columns, and $COLUMNS before both; colours on
// a terminal, unless NO_COLOR (no-color.org) is set. The time is now.
TableStyle table_style();

// Prints `text` behind `begin`, which takes `indent` columns of the terminal, and broken to the
// terminal's width below itself.
void print_wrapped(const std::string& begin, size_t indent, const std::string& text);

}  // namespace ebpf_ai_monitor
