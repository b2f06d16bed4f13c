#include "desktop/badge_writer.h"

#include <spdlog/spdlog.h>

#include <chrono>

namespace ebpf_ai_monitor {
namespace {

constexpr auto retry_after = std::chrono::milliseconds(500);

}  // namespace

BadgeWriter::BadgeWriter(EventLoop& loop, const std::string& runtime_directory, uid_t user)
    : directory_(runtime_directory, user), retry_timer_(loop.add_timer([this] { write_files(); })) {
  if (directory_.fd() < 0) return;
  directory_source_ = loop.add_io(directory_.fd(), EPOLLIN, [this](uint32_t) {
    if (directory_.replaced()) write_files();
  });
}

const std::map<int64_t, std::string>& BadgeWriter::take_over() {
  if (auto left = directory_.take_over()) {
    files_ = left_ = std::move(*left);
  } else {
    spdlog::error("{}", left.error().message);
  }
  return left_;
}

void BadgeWriter::write(std::map<int64_t, std::string> files, bool is_all) {
  if (is_all) left_.clear();
  files.insert(left_.begin(), left_.end());
  if (files == files_) return;
  files_ = std::move(files);
  write_files();
}

void BadgeWriter::remove_all() {
  files_.clear();
  write_files();
}

void BadgeWriter::write_files() {
  const Status written = directory_.update(files_);
  if (written) {
    if (!error_.empty()) spdlog::info("the badges can be written again");
    error_.clear();
    retry_timer_->disarm();
    return;
  }
  if (written.error().message != error_) {
    error_ = written.error().message;
    spdlog::error("{}", error_);
  }
  retry_timer_->arm(monotonic_now() + retry_after);
}

}  // namespace ebpf_ai_monitor
