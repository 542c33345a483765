// The parser. Wrong words are answered with the right ones: the nearest spelling, or where `--` belongs.
#include "tui/command/arguments.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"

#include <algorithm>

namespace conductor::command {
namespace {

class Parser {
public:
  Parser(std::span<const char* const> words, Arguments& result) : words_(words), result_(result) {}

  void run()
  {
    while (at_ < words_.size()) {
      const std::string_view word = words_[at_++];
      if (word == "--")
        return rest();
      else if (word.starts_with("--"))
        long_option(word.substr(2));
      else if (word.size() > 1 && word[0] == '-')
        letters(word);
      else
        bare(word);
    }
  }

private:
  std::string verb_name() const { return std::string{result_.verb ? result_.verb->name : "conductor"}; }

  // Everything behind `--`: the command, or names that begin with a dash.
  void rest()
  {
    if (result_.verb != nullptr && result_.verb->takes_command) {
      result_.has_command = true;
      for (; at_ < words_.size(); ++at_) result_.command.emplace_back(words_[at_]);
      if (result_.command.empty()) throw usage_error("no command behind --");
      return;
    }
    while (at_ < words_.size()) bare(words_[at_++]);
  }

  void bare(std::string_view word)
  {
    if (result_.verb == nullptr) {
      result_.verb = find_verb(word);
      if (result_.verb == nullptr) unknown_verb(word);
      return;
    }
    if (result_.names.size() >= result_.verb->most) one_too_many(word);
    result_.names.emplace_back(word);
  }

  [[noreturn]] void unknown_verb(std::string_view word) const
  {
    if (const Elsewhere* known = find_elsewhere(word, ""))
      throw usage_error("'" + std::string{word} + "' is no verb of conductor", std::string{known->hint});
    std::vector<std::string> candidates;
    for (const Verb& verb : verbs()) candidates.emplace_back(verb.name);
    std::string hint = nearest_hint(word, candidates);
    if (hint.empty()) hint = "conductor help lists the verbs";
    throw usage_error("'" + visible(word) + "' is no verb of conductor", std::move(hint));
  }

  [[noreturn]] void one_too_many(std::string_view word) const
  {
    const Verb& verb = *result_.verb;
    if (!verb.takes_command) throw usage_error("'" + visible(word) + "' is one word too many for " + verb_name());
    std::string line = "conductor " + verb_name();
    for (const std::string& name : result_.names) line += " " + quoted(visible(name));
    line += " --";
    for (size_t i = at_ - 1; i < words_.size(); ++i)
      if (std::string_view{words_[i]} != "--") line += " " + quoted(visible(words_[i]));
    throw usage_error("'" + visible(word) + "' is one name too many: put -- before the command", std::move(line));
  }

  template <class Matches>
  const Option* find(Matches&& matches) const
  {
    if (result_.verb != nullptr) {
      const auto& own = result_.verb->options;
      if (const auto found = std::find_if(own.begin(), own.end(), matches); found != own.end()) return &*found;
    }
    const auto all = global_options();
    const auto found = std::find_if(all.begin(), all.end(), matches);
    return found != all.end() ? &*found : nullptr;
  }

  void long_option(std::string_view text)
  {
    const size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const Option* option = find([&](const Option& each) { return each.name == name; });
    if (option == nullptr) unknown_option("--" + std::string{name});
    if (equals != std::string_view::npos) {
      if (option->value.empty()) throw usage_error("--" + std::string{name} + " takes no value");
      return add(*option, text.substr(equals + 1));
    }
    add(*option, option->value_optional ? std::string_view{} : value_of(*option, "--" + std::string{name}));
  }

  // -it, -d, -t 5, -t5, -mSIZE: letters may be joined; what follows one that needs a value is its value.
  void letters(std::string_view word)
  {
    for (size_t i = 1; i < word.size(); ++i) {
      const std::string spelled{'-', word[i]};
      const Option* option = find([&](const Option& each) { return each.letter != 0 && each.letter == word[i]; });
      if (option == nullptr) unknown_option(spelled);
      if (option->value.empty()) {
        add(*option, {});
        continue;
      }
      std::string_view value = word.substr(i + 1);
      if (value.starts_with('=')) value.remove_prefix(1);
      return add(*option, value.empty() ? value_of(*option, spelled) : value);
    }
  }

  std::string_view value_of(const Option& option, const std::string& spelled)
  {
    if (option.value.empty()) return {};
    if (at_ == words_.size() || std::string_view{words_[at_]} == "--")
      throw usage_error(spelled + " needs a value: " + spelled + " " + std::string{option.value});
    return words_[at_++];
  }

  [[noreturn]] void unknown_option(const std::string& spelled) const
  {
    const std::string_view verb = result_.verb != nullptr ? result_.verb->name : std::string_view{};
    const std::string shown = visible(spelled);
    std::string sentence = verb_name() + " has no option " + shown;
    if (const Elsewhere* known = find_elsewhere(verb, spelled))
      throw usage_error(std::move(sentence), std::string{known->hint});
    std::vector<std::string> candidates;
    const auto collect = [&](const Option& each) {
      if (!each.hidden) candidates.push_back("--" + std::string{each.name});
    };
    if (result_.verb != nullptr) std::for_each(result_.verb->options.begin(), result_.verb->options.end(), collect);
    std::for_each(global_options().begin(), global_options().end(), collect);
    std::string hint = spelled.size() > 2 ? nearest_hint(spelled, candidates) : "";
    if (hint.empty() && result_.verb != nullptr && result_.verb->takes_command && !result_.names.empty())
      hint = "where it belongs to the command, put -- before the command";
    if (result_.verb == nullptr && spelled.size() > 2) { // without a verb it is the console that is meant
      const Verb* console = find_verb("console");
      for (const Option& each : console != nullptr ? console->options : std::span<const Option>{})
        if (spelled == "--" + std::string{each.name}) hint = "for the console: conductor console " + spelled;
    }
    if (hint.empty() && result_.verb == nullptr) hint = "options of a verb stand behind the verb";
    throw usage_error(std::move(sentence), std::move(hint));
  }

  void add(const Option& option, std::string_view value)
  {
    if (option.name == "help") result_.help = true;
    if (option.name == "version") result_.version = true;
    result_.options.emplace_back(&option, value);
  }

  std::span<const char* const> words_;
  Arguments& result_;
  size_t at_ = 0;
};

} // namespace

bool Arguments::has(std::string_view option) const
{
  return std::any_of(options.begin(), options.end(), [&](const auto& each) { return each.first->name == option; });
}

std::optional<std::string> Arguments::value(std::string_view option) const
{
  for (auto each = options.rbegin(); each != options.rend(); ++each)
    if (each->first->name == option) return std::string{each->second};
  return std::nullopt;
}

std::vector<std::string> Arguments::values(std::string_view option) const
{
  std::vector<std::string> all;
  for (const auto& [each, value] : options)
    if (each->name == option) all.emplace_back(value);
  return all;
}

void parse(std::span<const char* const> words, Arguments& arguments)
{
  Parser{words, arguments}.run();
  if (arguments.help || arguments.version || arguments.verb == nullptr) return;
  if (arguments.names.size() < arguments.verb->least)
    throw usage_error(std::string{arguments.verb->name} + " needs " + std::string{arguments.verb->names});
}

std::string quoted(std::string_view word)
{
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) return std::string{word};
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return text + "'";
}

} // namespace conductor::command
