#include "core/snapshot/parse.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace conductor {
namespace {

std::string_view without_blanks(std::string_view text)
{
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin);
}

// Takes the first word off `text`.
std::string_view next_word(std::string_view& text)
{
  text = without_blanks(text);
  const size_t length = std::min(text.find_first_of(" \t\n"), text.size());
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

// The rest of the line that begins with `key`.
std::optional<std::string_view> line_of(std::string_view text, std::string_view key)
{
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const bool is_word = line.size() > key.size() && (key.ends_with(':') || line[key.size()] == ' ');
    if (line.starts_with(key) && is_word) return line.substr(key.size());
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return std::nullopt;
}

template <class Number>
Number number_or_zero(std::string_view text)
{
  return static_cast<Number>(number_at(text).value_or(0));
}

} // namespace

std::optional<uint64_t> number_at(std::string_view text)
{
  text = without_blanks(text);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::optional{value} : std::nullopt;
}

std::optional<uint64_t> number_of(std::string_view text, std::string_view key)
{
  const auto line = line_of(text, key);
  return line ? number_at(*line) : std::nullopt;
}

std::optional<uint64_t> limit_at(std::string_view text)
{
  // v1 says "no limit" as the largest multiple of a page below 2^63.
  constexpr uint64_t boundless = uint64_t{1} << 62;
  const auto value = number_at(text);
  return value && *value < boundless ? value : std::nullopt;
}

std::optional<ProcessStat> process_stat(std::string_view text)
{
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  ProcessStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  text.remove_prefix(close + 1);
  // What follows is numbered from field 3 in the manual page.
  std::array<std::string_view, 25> fields{};
  for (size_t number = 3; number < fields.size(); ++number) fields[number] = next_word(text);
  if (fields[24].empty()) return std::nullopt;
  stat.state = fields[3].front();
  stat.ppid = number_or_zero<int>(fields[4]);
  stat.cpu_ticks = number_or_zero<uint64_t>(fields[14]) + number_or_zero<uint64_t>(fields[15]);
  stat.start_ticks = number_or_zero<uint64_t>(fields[22]);
  stat.rss_pages = number_or_zero<uint64_t>(fields[24]);
  return stat;
}

ProcessIdentity process_identity(std::string_view text)
{
  ProcessIdentity identity;
  if (auto uids = line_of(text, "Uid:")) {
    next_word(*uids); // the real one
    identity.uid = number_or_zero<uint32_t>(next_word(*uids));
  }
  if (auto pids = line_of(text, "NSpid:")) {
    next_word(*pids); // as this /proc numbers it
    identity.pid_inside = number_or_zero<int>(next_word(*pids));
  }
  return identity;
}

std::string command_of(std::string_view cmdline)
{
  while (!cmdline.empty() && cmdline.back() == '\0') cmdline.remove_suffix(1);
  std::string command{cmdline};
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command;
}

CpuTimes cpu_times(std::string_view text)
{
  auto line = line_of(text, "cpu");
  if (!line) return {};
  // user nice system idle iowait irq softirq steal; guest is counted in user already (proc_stat(5)).
  CpuTimes times;
  for (int column = 0; column < 8; ++column) {
    const auto ticks = number_or_zero<uint64_t>(next_word(*line));
    times.total += ticks;
    if (column != 3 && column != 4) times.busy += ticks;
  }
  return times;
}

IoBytes io_bytes(std::string_view text)
{
  IoBytes bytes;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    while (!(line = without_blanks(line)).empty()) {
      const std::string_view word = next_word(line);
      if (word.starts_with("rbytes=")) bytes.read += number_or_zero<uint64_t>(word.substr(7));
      if (word.starts_with("wbytes=")) bytes.written += number_or_zero<uint64_t>(word.substr(7));
    }
  }
  return bytes;
}

} // namespace conductor
