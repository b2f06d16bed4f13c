#include "app/toml_file.h"

#include <filesystem>

namespace ebpf_ai_monitor {

std::string place(const std::string& path, const toml::source_region& source) {
  return path + ", line " + std::to_string(source.begin.line) + ": ";
}

Result<std::vector<std::string>> one_or_more_strings(const toml::node& node) {
  if (const auto one = node.value_exact<std::string>()) return std::vector<std::string>{*one};
  const toml::array* array = node.as_array();
  std::vector<std::string> result;
  if (array != nullptr) {
    for (const toml::node& element : *array) {
      if (const auto text = element.value_exact<std::string>()) result.push_back(*text);
    }
  }
  if (array == nullptr || result.size() != array->size())
    return fail("must be a string or an array of strings");
  return result;
}

Result<toml::table> parse_toml_file(const std::string& path) {
  std::error_code ignored;  // whatever it is, opening the file will tell
  // It would read like an empty file.
  if (std::filesystem::is_directory(path, ignored)) return fail(path + " is a directory");
  try {
    return toml::table(toml::parse_file(path));
  } catch (const toml::parse_error& error) {
    if (!error.source().begin) return fail(path + ": " + std::string(error.description()));
    return fail(place(path, error.source()) + std::string(error.description()));
  }
}

}  // namespace ebpf_ai_monitor
