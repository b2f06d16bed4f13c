// A table for a person's terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ebpf_ai_monitor {

struct TableColumn {
  std::string title;
  size_t most = 0;                 // columns of the terminal that it takes
  std::vector<std::string> cells;  // one a row; made printable here
};

// What is done where a table is too wide for its terminal.
struct Squeeze {
  std::string_view title;  // of the column
  size_t least = 0;        // it is made as narrow as that; 0: it goes whole
};

// The titles, and a line a row. `squeezes` are made in their order, until it is no wider than
// `width`. `colours`: of the first cell of each row; none where it is empty.
std::string table_text(std::vector<TableColumn> columns, size_t width,
                       const std::vector<Squeeze>& squeezes,
                       const std::vector<std::string_view>& colours = {});

}  // namespace ebpf_ai_monitor
