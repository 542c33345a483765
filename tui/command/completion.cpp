// Shell completion: one script a shell, its words taken from the rows. Names of containers and images are asked from
// conductor itself when Tab is pressed.
#include "tui/command/help.h"

#include "core/base/error.h"

#include <fmt/format.h>

namespace conductor::command {
namespace {

// What to ask conductor for the names of a verb.
std::string_view source_of(std::string_view kind)
{
  if (kind == "container") return "ps -aq";
  if (kind == "running") return "ps -q";
  if (kind == "paused") return "ps -q --filter state=paused";
  if (kind == "stopped") return "ps -aq --filter state=exited --filter state=created";
  if (kind == "image") return "images -q";
  if (kind == "volume") return "volumes -q";
  return {};
}

// The global options that decide whose names these are: what was typed of them is asked with.
constexpr std::string_view places[] = {"root", "run", "config"};

std::string place_words(std::string_view separator)
{
  std::string text;
  for (const std::string_view place : places) text += fmt::format("{}--{}", text.empty() ? "" : separator, place);
  return text;
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
                     "  local word=${COMP_WORDS[COMP_CWORD]} verb= i option globals=()\n"
                     "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                     "    case ${COMP_WORDS[i]} in\n"
                     "      --) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
                     "      " +
                     value_patterns(global_options(), "") +
                     ")\n"
                     "        option=${COMP_WORDS[i]}\n"
                     "        [[ ${COMP_WORDS[i + 1]} != = ]] || ((++i))\n"
                     "        ((++i < COMP_CWORD)) || { COMPREPLY=($(compgen -f -- \"$word\")); return; }\n"
                     "        case $option in " +
                     place_words("|") +
                     ") globals+=(\"$option\" \"${COMP_WORDS[i]}\") ;; esac ;;\n"
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
    const std::string names = source.empty() ? fmt::format("'{}'", words_of(verb.completes))
                                             : fmt::format("$(conductor \"${{globals[@]}}\" {} 2>/dev/null)", source);
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
    const std::string value =
        option.value.empty() ? ""
                             : fmt::format("{}{}:_files", option.value_optional ? "::" : ":", zsh_text(option.value));
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
                     "_conductor()\n{\n  local curcontext=$curcontext state line option\n  typeset -A opt_args\n"
                     "  local -a verbs globals\n  verbs=(\n";
  for (const Verb& verb : verbs()) text += fmt::format("    '{}:{}'\n", verb.name, zsh_text(verb.help));
  // Once the verb is there, words holds it and what follows only.
  text += "  )\n  _arguments -C -S" + zsh_options(global_options()) +
          " \\\n      '(-)1:verb:->verb' '(-)*::word:->words' && return\n"
          "  for option in " +
          place_words(" ") +
          "; do\n"
          "    [[ -z ${opt_args[$option]} ]] || globals+=($option ${(Q)opt_args[$option]})\n  done\n"
          "  if [[ $state == verb ]]; then _describe verb verbs; return; fi\n"
          "  case $words[1] in\n";
  for (const Verb& verb : verbs()) {
    const std::string_view source = source_of(verb.completes);
    std::string names = "_files";
    if (!source.empty()) names = fmt::format("compadd -- ${{(f)\"$(conductor $globals {} 2>/dev/null)\"}}", source);
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

// The global options that take the next word as their value, as words of a `case`.
std::string fish_values()
{
  std::string text;
  for (const Option& option : global_options())
    if (!option.hidden && !option.value.empty() && !option.value_optional) text += fmt::format(" --{}", option.name);
  return text;
}

// Who finds the verb, and who asks conductor. fish's own __fish_use_subcommand takes the X of `--root X` for the verb.
std::string fish_functions()
{
  std::string joined;
  for (const std::string_view place : places) joined += fmt::format(" '--{}=*'", place);
  return "function __conductor_verb\n"
         "  set -l words (commandline -opc)\n  set -l value no\n"
         "  for word in $words[2..]\n"
         "    if test $value = yes\n      set value no\n      continue\n    end\n"
         "    switch $word\n      case" +
         fish_values() +
         "\n        set value yes\n      case '-*'\n"
         "      case '*'\n        echo $word\n        return 0\n    end\n  end\n  return 1\nend\n"
         "function __conductor_needs_verb\n  not __conductor_verb >/dev/null\nend\n"
         "function __conductor_verb_is\n  contains -- $argv[1] (__conductor_verb)\nend\n"
         "function __conductor_ask\n"
         "  set -l words (commandline -opc)\n  set -l globals\n"
         "  for at in (seq 2 (count $words))\n"
         "    switch $words[$at]\n      case --\n        break\n      case " +
         place_words(" ") + "\n        set -a globals $words[$at] $words[(math $at + 1)]\n      case" + joined +
         "\n        set -a globals $words[$at]\n    end\n  end\n"
         "  conductor $globals $argv 2>/dev/null\nend\n";
}

std::string fish_script()
{
  std::string text = "# conductor completion for fish: conductor completion fish | source\n" + fish_functions();
  text += fish_options(global_options(), "");
  for (const Verb& verb : verbs()) {
    text += fmt::format("complete -c conductor -n __conductor_needs_verb -f -a {} -d '{}'\n", verb.name,
                        fish_text(verb.help));
    const std::string condition = fmt::format(" -n '__conductor_verb_is {}'", verb.name);
    text += fish_options(verb.options, condition);
    const std::string_view source = source_of(verb.completes);
    if (!source.empty())
      text += fmt::format("complete -c conductor{} -f -a '(__conductor_ask {})'\n", condition, source);
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
