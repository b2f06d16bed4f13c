#include "app/toml_file.h"

#include <unistd.h>

#include <cerrno>
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
  if (access(path.c_str(), R_OK) != 0) return fail_errno("cannot read " + path, errno);
  std::error_code ignored;
  // A directory would read like an empty file.
  if (std::filesystem::is_directory(path, ignored)) return fail(path + ": a directory, not a file");
  try {
    return toml::table(toml::parse_file(path));
  } catch (const toml::parse_error& error) {
    if (!error.source().begin) return fail(path + ": " + std::string(error.description()));
    return fail(place(path, error.source()) + std::string(error.description()));
  }
}

}  // namespace ebpf_ai_monitor
