#pragma once

#include "core/panel.h"

namespace ebpf_ai_monitor {

// As standard output is: a terminal's width, else 80 columns, and $COLUMNS before both; colours on
// a terminal, unless NO_COLOR (no-color.org) is set. The time is now.
TableStyle table_style();

}  // namespace ebpf_ai_monitor
