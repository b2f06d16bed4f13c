// Errors that a caller can handle are values; all others throw.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <tl/expected.hpp>

namespace ebpf_ai_monitor {

// Why something failed, as a sentence for the user. It names the thing and, if one is known, the
// remedy.
struct Error {
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(std::string message) {
  return tl::make_unexpected(Error{std::move(message)});
}

// `what` and the text of an errno value.
inline tl::unexpected<Error> fail_errno(const std::string& what, int error = errno) {
  return fail(what + ": " + std::generic_category().message(error));
}

}  // namespace ebpf_ai_monitor
