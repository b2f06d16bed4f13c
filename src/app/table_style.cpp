#include "app/table_style.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string_view>

namespace ebpf_ai_monitor {

TableStyle table_style() {
  TableStyle style;
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  winsize size{};
  if (is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.columns = size.ws_col;
  if (const char* columns = std::getenv("COLUMNS")) {
    const std::string_view text = columns;
    size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number > 0)
      style.columns = number;
  }
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  style.coloured = is_terminal && (no_colour == nullptr || *no_colour == '\0') &&
                   (terminal == nullptr || std::string_view(terminal) != "dumb");
  style.now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return style;
}

}  // namespace ebpf_ai_monitor
