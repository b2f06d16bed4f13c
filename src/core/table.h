// A table for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ebpf_ai_monitor {

struct TableColumn {
  std::string title;
  size_t most = 0;                 // it takes at most so many columns of the terminal
  std::vector<std::string> cells;  // a cell for each row; made printable here
};

// What to do if a table is too wide for its terminal.
struct Squeeze {
  std::string_view title;  // of the column
  size_t least = 0;        // it shrinks to no less than this width; 0: it is left out
};

// The titles, and a line for each row. The `squeezes` are applied in their order until the table is
// no wider than `width`. `colours`: one for the first cell of each row; no colour if it is empty.
std::string table_text(std::vector<TableColumn> columns, size_t width,
                       const std::vector<Squeeze>& squeezes,
                       const std::vector<std::string_view>& colours = {});

}  // namespace ebpf_ai_monitor
