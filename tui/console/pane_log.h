// The log of a container, or of several in the order of time, followed: read straight from their files, at "now" until
// one scrolls up.
#pragma once

#include "core/container/log.h"
#include "tui/console/loop.h"
#include "tui/console/pane_text.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace conductor::console {

inline constexpr std::size_t most_merged_logs = 50;

class LogPane : public TextPane, public Source {
public:
  struct Log {
    std::string id, name; ///< of the container
    Fd directory;
  };
  /// logs: at least one, at most most_merged_logs. Throws Error.
  LogPane(int number, Loop& loop, std::vector<Log> logs);
  ~LogPane() override;
  /// Ids of the containers.
  std::vector<std::string> containers() const;
  std::string status() const override;
  std::span<const std::string_view> hint_names() const override;
  void ready(int fd, std::uint32_t events) override;
  void turn() override { ready(-1, 0); }

protected:
  bool act(std::string_view name) override;
  std::string gutter(const TextLine& line) const override;

private:
  // One log, its next record, and the line of it that has no end yet.
  struct Reading {
    Log log;
    std::unique_ptr<LogReader> reader;
    std::optional<LogRecord> next;
    std::optional<std::uint64_t> open_line;
    std::string open_text;
    bool ended = false;
  };
  void begin();
  void forget();
  void take(Reading& reading);
  void update_gutter();
  static std::string title_of(const std::vector<Log>& logs);

  Loop& loop_;
  std::vector<Reading> logs_;
  std::int64_t since_ns_ = 0;
  bool stamps_ = false;
};

} // namespace conductor::console
