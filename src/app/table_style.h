#pragma once

#include "core/panel.h"

namespace ebpf_ai_monitor {

// The style that fits standard output. The width: $COLUMNS, else that of the terminal, else 80.
// Colours: on a terminal, unless NO_COLOR (no-color.org) is set. The time: now.
TableStyle table_style();

}  // namespace ebpf_ai_monitor
