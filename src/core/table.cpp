#include "core/table.h"

#include <algorithm>

#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

constexpr std::string_view no_colour = "\x1b[0m";

}  // namespace

std::string table_text(std::vector<TableColumn> columns, size_t width,
                       const std::vector<Squeeze>& squeezes,
                       const std::vector<std::string_view>& colours) {
  size_t taken = columns.size() - 1;  // a space between two columns
  for (TableColumn& column : columns) {
    size_t widest = column.title.size();
    for (const std::string& text : column.cells)
      widest = std::max(widest, ebpf_ai_monitor::width(printable(text)));
    column.most = std::min(column.most, widest);
    taken += column.most;
  }
  for (const auto& [title, least] : squeezes) {
    if (taken <= width) break;
    const auto column = std::ranges::find(columns, title, &TableColumn::title);
    if (least == 0) {
      taken -= column->most + 1;
      columns.erase(column);
    } else {
      const size_t less = std::min(taken - width, column->most - std::min(column->most, least));
      column->most -= less;
      taken -= less;
    }
  }

  std::string table;
  const auto add_row = [&](const auto& text_of, std::string_view colour) {
    std::string line;
    for (const TableColumn& column : columns) {
      const bool is_first = &column == columns.data();
      line += is_first ? colour : " ";
      line += cell(text_of(column), column.most);
      if (is_first && !colour.empty()) line += no_colour;
    }
    table += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add_row([](const TableColumn& column) { return column.title; }, "");
  for (size_t row = 0; row < columns.front().cells.size(); ++row)
    add_row([row](const TableColumn& column) { return column.cells[row]; },
            colours.empty() ? "" : colours[row]);
  return table;
}

}  // namespace ebpf_ai_monitor
