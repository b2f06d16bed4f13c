#pragma once

#include <cstddef>
#include <string>

#include "core/panel.h"

namespace ebpf_ai_monitor {

// The style that fits standard output. The width: $COLUMNS, else that of the terminal, else 80.
// Colours: on a terminal, unless NO_COLOR (no-color.org) is set. The time: now.
TableStyle table_style();

// Prints `text` after `begin`, which takes `indent` columns. The text is broken to the width of the
// terminal, and its lines are aligned.
void print_wrapped(const std::string& begin, size_t indent, const std::string& text);

}  // namespace ebpf_ai_monitor
