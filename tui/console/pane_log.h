// The log of a container, followed: read straight from its files, a line at a time, at "now" until one scrolls up.
#pragma once

#include "core/container/log.h"
#include "tui/console/loop.h"
#include "tui/console/pane_text.h"

#include <memory>

namespace conductor::console {

class LogPane : public TextPane, public Source {
public:
  /// directory: of the log. Throws Error.
  LogPane(int number, Loop& loop, std::string container_name, Fd directory);
  ~LogPane() override;
  std::string status() const override;
  void ready(int fd, std::uint32_t events) override;
  void turn() override { ready(-1, 0); }

private:
  Loop& loop_;
  LogReader reader_;
  bool ended_ = false;
};

} // namespace conductor::console
