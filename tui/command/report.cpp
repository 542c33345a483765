// Errors on stderr, for people and for programs.
#include "tui/command/report.h"

#include "tui/command/help.h"
#include "tui/command/stream.h"
#include "tui/command/text.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

namespace conductor::command {

std::string error_text(const Error& error, const Arguments& arguments, bool json)
{
  const bool wrong_usage = error.status() == 2;
  const std::string right = arguments.verb != nullptr ? usage(*arguments.verb) : "conductor VERB, see: conductor help";
  if (json) {
    nlohmann::ordered_json body;
    body["message"] = error.sentence();
    body["hint"] = error.hint().empty() && wrong_usage ? std::string_view{right} : error.hint();
    body["errno"] = errno_name(error.number());
    const nlohmann::ordered_json document{{"error", body}};
    return json_shown(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
  }
  std::string text = "conductor: " + shown(error.sentence(), true) + "\n";
  if (!error.hint().empty()) text += "hint: " + shown(error.hint(), true) + "\n";
  if (wrong_usage) text += "usage: " + right + "\n";
  return text;
}

int exit_status(const Error& error, const Arguments& arguments)
{
  if (error.status() == no_root_status) return 1;
  if (error.status() == 2) return 2;
  // 125 to 127 say why a command gave no status of its own; of other verbs nobody expects one.
  if (arguments.verb == nullptr || !arguments.verb->own_status) return 1;
  return error.status() == 1 ? 125 : error.status();
}

int report(const Error& error, std::span<const char* const> words, const Arguments& arguments)
{
  bool json = arguments.has("json");
  for (const std::string_view word : words) {
    if (word == "--") break;
    json = json || word == "--json";
  }
  write_all(STDERR_FILENO, error_text(error, arguments, json));
  return exit_status(error, arguments);
}

} // namespace conductor::command
