// Lines out, decisions in.
#include "tui/command/stream.h"
#include "tui/command/text.h"

#include "core/base/error.h"
#include "core/base/event_json.h"
#include "core/container/spec.h"

#include <cerrno>

#include <unistd.h>

#include <nlohmann/json.hpp>

namespace conductor::command {

bool write_all(int fd, std::string_view text)
{
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count >= 0)
      text.remove_prefix(static_cast<size_t>(count));
    else if (errno != EINTR)
      return false;
  }
  return true;
}

StreamListener::StreamListener(int fd, bool begun) : fd_(fd)
{
  if (!begun) gone_ = !write_all(fd_, hello_line() + "\n");
}

void StreamListener::on(const Event& event)
{
  if (!gone_) gone_ = !write_all(fd_, json_shown(to_json(event)) + "\n");
}

Decision parse_decision(std::string_view line)
{
  std::string word{line};
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (json.is_string()) word = json.get<std::string>();
  if (json.is_object() && json.contains("decision") && json["decision"].is_string())
    word = json["decision"].get<std::string>();
  if (word == "go") return Decision::go;
  if (word == "skip") return Decision::skip;
  if (word == "abort") return Decision::abort;
  constexpr std::string_view fail = "fail ";
  if (word.starts_with(fail))
    if (const int number = errno_number(std::string_view{word}.substr(fail.size())); number != 0)
      return fail_with(number);
  throw usage_error("'" + visible(line) + "' is no decision", R"({"decision":"go"}, "skip", "abort" or "fail ENOSPC")");
}

Decision GateFd::before(const Event& call)
{
  if (asks_ && !write_all(fd_, json_shown(to_json(call)) + "\n")) return Decision::abort;
  std::string line;
  if (!read_line(line)) return Decision::abort;
  return parse_decision(line);
}

bool GateFd::read_line(std::string& line)
{
  for (;;) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) return true;
      continue;
    }
    char bytes[512];
    const ssize_t count = ::read(fd_, bytes, sizeof bytes);
    // A signal while the decision is awaited (EINTR) is the wish to end the operation.
    if (count <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(count));
  }
}

} // namespace conductor::command
