// Help and the manual page, printed from the rows.
#include "tui/command/help.h"

#include "tui/command/actions.h"
#include "tui/command/text.h"

#include <algorithm>

#include <fmt/format.h>

namespace conductor::command {
namespace {

constexpr size_t page_width = 100;

std::string option_lines(std::span<const Option> options)
{
  size_t width = 0;
  for (const Option& option : options)
    if (!option.hidden) width = std::max(width, spelling(option).size());
  std::string text;
  for (const Option& option : options) {
    if (option.hidden) continue;
    const std::string help = std::string{option.help} + (option.repeatable ? "; may be repeated" : "");
    text += fmt::format("  {:<{}}  {}\n", spelling(option), width, wrapped(help, page_width - width - 4, width + 4));
  }
  return text;
}

// Text for roff: a backslash is \e, a dash that may be copied is \-, and no line begins with a point.
std::string roff(std::string_view text)
{
  std::string result;
  for (const char c : text) {
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else if ((c == '.' || c == '\'') && (result.empty() || result.back() == '\n'))
      result += std::string{"\\&"} + c;
    else
      result += c;
  }
  return result;
}

std::string roff_options(std::span<const Option> options)
{
  std::string text;
  for (const Option& option : options) {
    if (option.hidden) continue;
    std::string spelled = spelling(option);
    spelled.erase(0, spelled.find_first_not_of(' '));
    text += ".TP\n\\fB" + roff(spelled) + "\\fR\n" + roff(option.help) +
            (option.repeatable ? "; may be repeated" : "") + ".\n";
  }
  return text;
}

constexpr std::string_view status_text = "0: done. 1: the operation failed; the message, and where one helps a hint, "
                                         "are on stderr. 2: wrong usage. run, exec "
                                         "and wait end as the command ended: its own status, 128+N when signal N ended "
                                         "it, 125 when conductor itself failed, "
                                         "126 when the command cannot be executed, 127 when it was not found.";

} // namespace

std::string usage(const Verb& verb)
{
  std::string text = "conductor " + std::string{verb.name};
  if (!verb.names.empty()) text += " " + std::string{verb.names};
  if (!verb.options.empty()) text += " [options]";
  if (verb.takes_command) text += " [-- CMD ARG...]";
  return text;
}

std::string spelling(const Option& option)
{
  std::string text = option.letter != 0 ? std::string{'-', option.letter, ',', ' '} : "    ";
  text += "--" + std::string{option.name};
  if (option.value_optional) return text + "[=" + std::string{option.value} + "]";
  if (!option.value.empty()) text += " " + std::string{option.value};
  return text;
}

std::string help_overview()
{
  std::string text = "usage: conductor [VERB] [names] [options] [-- CMD ARG...]\n"
                     "       without a verb: the console\n";
  size_t width = 0;
  for (const Verb& verb : verbs()) width = std::max(width, verb.name.size() + 1 + verb.names.size());
  const Group* last = nullptr;
  for (const Verb& verb : verbs()) {
    if (last == nullptr || *last != verb.group) text += fmt::format("\n{}\n", title(verb.group));
    last = &verb.group;
    const std::string left = std::string{verb.name} + " " + std::string{verb.names};
    text += fmt::format("  {:<{}}  {}\n", left, width, verb.help);
  }
  text += "\nOptions for every verb\n" + option_lines(global_options());
  return text + "\nconductor help VERB tells more about one verb. Names, then options, or the other way round; what "
                "stands\nbehind -- is the command, untouched.\n";
}

std::string help_for(const Verb& verb)
{
  std::string text = fmt::format("usage: {}\n\n{}\n", usage(verb), verb.help);
  if (!verb.more.empty()) text += "\n" + wrapped(verb.more, page_width, 0) + "\n";
  if (!verb.options.empty()) text += "\nOptions\n" + option_lines(verb.options);
  for (const Key& key : verb.keys)
    if (!key.key.empty())
      text += fmt::format("\nIn the console: {} ({})", key.key, key.help.empty() ? verb.help : key.help);
  if (!verb.keys[0].key.empty()) text += "\n";
  return text + fmt::format("\nExample\n  conductor {}\n", verb.example);
}

std::string manual_page()
{
  std::string text = ".TH CONDUCTOR 1 \"\" \"conductor " CONDUCTOR_VERSION "\" \"User Commands\"\n"
                     ".SH NAME\nconductor \\- containers from kernel primitives, without a daemon\n"
                     ".SH SYNOPSIS\n.B conductor\n[\\fIVERB\\fR] [names] [options] [\\-\\- \\fICMD ARG\\fR...]\n"
                     ".SH DESCRIPTION\nWithout a verb, conductor opens its console on a terminal. Options may stand "
                     "before or after the names; what stands behind \\-\\- is the command, untouched.\n";
  const Group* last = nullptr;
  for (const Verb& verb : verbs()) {
    if (last == nullptr || *last != verb.group) text += fmt::format(".SH \"{}\"\n", title(verb.group));
    last = &verb.group;
    text += fmt::format(".SS \"{}\"\n{}.\n", roff(usage(verb).substr(10)), roff(verb.help));
    if (!verb.more.empty()) text += ".PP\n" + roff(verb.more) + "\n";
    text += roff_options(verb.options);
    text += fmt::format(".PP\nExample: \\fBconductor {}\\fR\n", roff(verb.example));
  }
  text += ".SH \"OPTIONS FOR EVERY VERB\"\n" + roff_options(global_options());
  text += ".SH \"KEYS OF THE CONSOLE\"\n";
  const Mode* mode = nullptr;
  for (const Action& action : actions()) {
    if (mode == nullptr || *mode != action.mode) text += fmt::format(".SS \"In {}\"\n", mode_name(action.mode));
    mode = &action.mode;
    text += fmt::format(".TP\n\\fB{}\\fR\n{}.\n",
                        roff(action.key.empty() ? "m : " + std::string{action.name} : std::string{action.key}),
                        roff(action.help));
  }
  text += ".SH \"EXIT STATUS\"\n" + roff(status_text) + "\n";
  text += ".SH ENVIRONMENT\n.TP\n\\fBCONDUCTOR_ROOT\\fR, \\fBCONDUCTOR_RUN\\fR\nThe directories of \\-\\-root and "
          "\\-\\-run.\n.TP\n\\fBNO_COLOR\\fR\nNo colours when it is set and not empty.\n";
  text +=
      ".SH FILES\n.TP\n\\fI/etc/conductor/config.json\\fR\nThe configuration; conductor config shows what is in "
      "force.\n.TP\n\\fI/var/lib/conductor\\fR\nImages, layers and containers.\n.TP\n\\fI/run/conductor\\fR\nWhat is "
      "true until the next boot.\n";
  return text;
}

} // namespace conductor::command
