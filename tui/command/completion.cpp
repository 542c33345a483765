// Shell completion: one script a shell, its words taken from the rows. Names of containers and images are asked from
// conductor itself when Tab is pressed.
#include "tui/command/help.h"

#include "core/base/error.h"

#include <fmt/format.h>

namespace conductor::command {
namespace {

// What to run for the names of a verb.
std::string_view source_of(std::string_view kind)
{
  if (kind == "container") return "conductor ps -aq";
  if (kind == "running") return "conductor ps -q";
  if (kind == "stopped") return "conductor ps -aq --filter state=exited --filter state=created";
  if (kind == "image") return "conductor images -q";
  return {};
}

std::string words_of(std::string_view kind)
{
  if (kind == "shell") return "bash zsh fish";
  std::string text;
  if (kind == "verb")
    for (const Verb& verb : verbs()) text += (text.empty() ? "" : " ") + std::string{verb.name};
  return text;
}

std::string option_words(std::span<const Option> options)
{
  std::string text;
  for (const Option& option : options) {
    if (option.hidden) continue;
    if (option.letter != 0) text += fmt::format(" -{}", option.letter);
    text += fmt::format(" --{}", option.name);
  }
  return text;
}

// The spellings of the options that take the next word as their value, for a pattern of the shell; empty when none
// does.
std::string value_patterns(std::span<const Option> options, std::string_view verb)
{
  std::string text;
  const auto add = [&](std::string_view spelling) {
    text += fmt::format("{}'{}{}{}'", text.empty() ? "" : "|", verb, verb.empty() ? "" : " ", spelling);
  };
  for (const Option& option : options) {
    if (option.hidden || option.value.empty() || option.value_optional) continue;
    if (option.letter != 0) add(fmt::format("-{}", option.letter));
    add(fmt::format("--{}", option.name));
  }
  return text;
}

// The words of a value such as none|host; empty where a placeholder (FILE, K=V) is among them.
std::string choices_of(std::string_view value)
{
  if (value.find('|') == std::string_view::npos) return {};
  std::string words{value};
  for (char& c : words) {
    if (c == '|')
      c = ' ';
    else if (c < 'a' || c > 'z')
      return {};
  }
  return words;
}

// What stands behind an option of this verb: its words where they are known, else a file.
std::string bash_values(const Verb& verb)
{
  std::string text;
  for (const Option& option : verb.options)
    if (const std::string words = choices_of(option.value); !option.hidden && !words.empty())
      text += fmt::format("    '{} --{}') COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n", verb.name,
                          option.name, words);
  if (const std::string patterns = value_patterns(verb.options, verb.name); !patterns.empty())
    text += fmt::format("    {}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", patterns);
  return text;
}

std::string bash_script()
{
  std::string text = "# conductor completion for bash: source <(conductor completion bash)\n"
                     "_conductor()\n{\n"
                     "  local word=${COMP_WORDS[COMP_CWORD]} verb= i\n"
                     "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                     "    case ${COMP_WORDS[i]} in\n"
                     "      --) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
                     "      " +
                     value_patterns(global_options(), "") +
                     ") ((++i < COMP_CWORD)) || { COMPREPLY=($(compgen -f -- \"$word\")); return; } ;;\n"
                     "      -*) ;;\n"
                     "      *) [[ -n $verb ]] || verb=${COMP_WORDS[i]} ;;\n"
                     "    esac\n  done\n"
                     "  case \"$verb ${COMP_WORDS[COMP_CWORD - 1]}\" in\n";
  for (const Verb& verb : verbs()) text += bash_values(verb);
  text += "  esac\n  local names= options=\n"
          "  case $verb in\n";
  text += fmt::format("    '') names='{}' ;;\n", words_of("verb"));
  for (const Verb& verb : verbs()) {
    const std::string_view source = source_of(verb.completes);
    const std::string names =
        source.empty() ? fmt::format("'{}'", words_of(verb.completes)) : fmt::format("$({} 2>/dev/null)", source);
    text += fmt::format("    {}) names={} options='{}' ;;\n", verb.name, names, option_words(verb.options));
  }
  text += fmt::format("  esac\n  [[ $word == -* ]] && names=\"$options{}\"\n", option_words(global_options()));
  return text + "  COMPREPLY=($(compgen -W \"$names\" -- \"$word\"))\n"
                "  [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- \"$word\"))\n"
                "}\ncomplete -o filenames -F _conductor conductor\n";
}

// Inside single quotes and square brackets of zsh's _arguments.
std::string zsh_text(std::string_view text)
{
  std::string result;
  for (const char c : text) {
    if (c == '\'')
      result += "'\\''";
    else if (c == '[' || c == ']' || c == ':')
      result += std::string{"\\"} + c;
    else
      result += c;
  }
  return result;
}

std::string zsh_options(std::span<const Option> options)
{
  std::string text;
  for (const Option& option : options) {
    if (option.hidden) continue;
    const std::string value = option.value.empty() ? "" : fmt::format(":{}:_files", zsh_text(option.value));
    const std::string_view star = option.repeatable ? "*" : "";
    if (option.letter != 0)
      text += fmt::format(" \\\n      '{}-{}[{}]{}'", star, option.letter, zsh_text(option.help), value);
    const std::string_view equals = option.value_optional ? "=-" : option.value.empty() ? "" : "=";
    text += fmt::format(" \\\n      '{}--{}{}[{}]{}'", star, option.name, equals, zsh_text(option.help), value);
  }
  return text;
}

std::string zsh_script()
{
  std::string text = "#compdef conductor\n# conductor completion for zsh: source <(conductor completion zsh)\n"
                     "_conductor()\n{\n  local -a verbs\n  verbs=(\n";
  for (const Verb& verb : verbs()) text += fmt::format("    '{}:{}'\n", verb.name, zsh_text(verb.help));
  text += "  )\n  if ((CURRENT == 2)); then _describe verb verbs; return; fi\n"
          "  local verb=$words[2]\n  shift words; ((CURRENT--))\n  case $verb in\n";
  for (const Verb& verb : verbs()) {
    const std::string_view source = source_of(verb.completes);
    std::string names = "_files";
    if (!source.empty()) names = fmt::format("compadd -- ${{(f)\"$({} 2>/dev/null)\"}}", source);
    if (!words_of(verb.completes).empty()) names = "compadd -- " + words_of(verb.completes);
    text += fmt::format(
        "    {}) _conductor_names() {{ {} }}\n    _arguments -S{}{} \\\n      '*:name:_conductor_names' ;;\n",
        verb.name, names, zsh_options(verb.options), zsh_options(global_options()));
  }
  return text + "  esac\n}\ncompdef _conductor conductor\n";
}

std::string fish_text(std::string_view text)
{
  std::string result;
  for (const char c : text) result += c == '\'' || c == '\\' ? std::string{"\\"} + c : std::string{c};
  return result;
}

std::string fish_options(std::span<const Option> options, std::string_view condition)
{
  std::string text;
  for (const Option& option : options) {
    if (option.hidden) continue;
    text += fmt::format("complete -c conductor{} -l {}", condition, option.name);
    if (option.letter != 0) text += fmt::format(" -s {}", option.letter);
    if (!option.value.empty() && !option.value_optional) text += " -r";
    text += fmt::format(" -d '{}'\n", fish_text(option.help));
  }
  return text;
}

std::string fish_script()
{
  std::string text = "# conductor completion for fish: conductor completion fish | source\n";
  text += fish_options(global_options(), "");
  for (const Verb& verb : verbs()) {
    text += fmt::format("complete -c conductor -n __fish_use_subcommand -f -a {} -d '{}'\n", verb.name,
                        fish_text(verb.help));
    const std::string condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", verb.name);
    text += fish_options(verb.options, condition);
    const std::string_view source = source_of(verb.completes);
    if (!source.empty())
      text += fmt::format("complete -c conductor{} -f -a '({} 2>/dev/null)'\n", condition, source);
    else if (!words_of(verb.completes).empty())
      text += fmt::format("complete -c conductor{} -f -a '{}'\n", condition, words_of(verb.completes));
  }
  return text;
}

} // namespace

std::string completion_script(std::string_view shell)
{
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  throw usage_error("no completion for '" + std::string{shell} + "'", "bash, zsh or fish");
}

} // namespace conductor::command
