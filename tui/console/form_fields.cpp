// The fields of the forms, what they complete and check, and the command lines that they stand for: all
// from the rows of the verbs, so that an option of the command line is one of the form.
#include "tui/console/form.h"

#include "core/base/error.h"
#include "core/container/network_wish.h"
#include "core/container/ports.h"
#include "core/container/spec.h"
#include "core/store/images.h"
#include "tui/command/values.h"
#include "tui/command/wish.h"

#include <algorithm>
#include <array>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::console {
namespace {

template <class Check>
std::string complaint_from(Check&& check)
{
  try {
    check();
    return {};
  } catch (const Error& error) {
    std::string text{error.sentence()};
    if (!error.hint().empty()) text += " (" + std::string{error.hint()} + ")";
    return text;
  }
}

std::vector<std::string> beginning_with(const std::vector<std::string>& all, const std::string& typed)
{
  std::vector<std::string> found;
  for (const auto& each : all)
    if (each.starts_with(typed)) found.push_back(each);
  return found;
}

std::string check_words(const std::string& text) { return split_words(text) ? std::string{} : "a quote is not closed"; }

// A name that no container has yet.
std::string check_new_name(const AskWorld& world, const std::string& text)
{
  const auto taken = world().containers;
  if (std::find(taken.begin(), taken.end(), text) != taken.end()) return "a container is called that already";
  return complaint_from([&] { check_name(text); });
}

std::string check_file(const std::string& path)
{
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) return "there is no such file";
  if (!S_ISREG(about.st_mode)) return "that is no file";
  return access(path.c_str(), R_OK) == 0 ? std::string{} : "it cannot be read";
}

// How the options of a verb become fields.
struct OptionForm {
  const char* verb;
  std::vector<std::string_view> first; ///< these come first, the others as in the verb's table
  std::vector<std::string_view> never; ///< what has no meaning in the console, or is always given
  std::vector<std::string_view> on;    ///< flags that are set unless they are taken away
};
const OptionForm build_form{"build", {"build-arg", "target", "no-cache"}, {}, {}};
// A container of the console is in the background, and nobody is at its stdin but whoever attaches.
const OptionForm run_form{"run",
                          {"tty", "rm", "memory", "cpus", "pids", "volume", "env", "workdir", "user", "hostname"},
                          {"detach", "interactive"},
                          {"tty"}};

const OptionForm connect_form{"addnetwork", {}, {}, {}};

// Options whose values are files and directories of the host.
constexpr std::array<std::string_view, 5> host_paths{"context", "env-file", "volume", "device", "seccomp"};

bool holds(const std::vector<std::string_view>& list, std::string_view word)
{
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::vector<const command::Option*> options_of(const OptionForm& form)
{
  const command::Verb& verb = *command::find_verb(form.verb);
  std::vector<const command::Option*> all;
  for (const auto name : form.first)
    for (const auto& option : verb.options)
      if (option.name == name) all.push_back(&option);
  for (const auto& option : verb.options)
    if (!option.hidden && !holds(form.first, option.name) && !holds(form.never, option.name)) all.push_back(&option);
  return all;
}

// What an option's field adds to the command line. Flags by their letter, as hands type them, values by their name.
void append_option(std::vector<std::string>& arguments, const command::Option& option, const std::string& text)
{
  const std::string name = "--" + std::string{option.name};
  if (option.value.empty()) {
    if (text == "yes") arguments.push_back(option.letter != 0 ? std::string{'-', option.letter} : name);
  } else if (option.repeatable) {
    const auto words = split_words(text);
    for (std::size_t i = 0; words && i < words->size(); ++i) arguments.insert(arguments.end(), {name, (*words)[i]});
  } else if (!text.empty())
    arguments.insert(arguments.end(), {name, text});
}

void append_options(std::vector<std::string>& arguments, const OptionForm& form, const std::vector<std::string>& values,
                    std::size_t first)
{
  for (const command::Option* option : options_of(form))
    if (first < values.size()) append_option(arguments, *option, values[first++]);
}

// What the engine would say about it; the option's name in front is the field's already.
std::string check_option(const command::Option& option, const std::string& verb, const std::string& text)
{
  const auto parts = split_words(text);
  if (option.repeatable && !parts) return "a quote is not closed";
  if (option.name == "volume")
    for (const auto& word : *parts)
      // A plain word is the name of a volume, and what stands alone is the place of one without a name.
      if (const auto source = word.substr(0, word.find(':')); source != word && word.find_first_of("/.") == 0)
        if (access(source.c_str(), F_OK) != 0) return "there is no " + source;
  if (option.name == "context" && access((text + "/.").c_str(), R_OK) != 0) return "there is no such directory";
  std::string said = complaint_from([&] {
    std::vector<std::string> words{verb, "image"};
    append_option(words, option, text);
    if (verb == run_form.verb) command::check_wish(words);
    for (std::size_t i = 3; i < words.size() && option.value == "K=V"; i += 2)
      command::parse_pair(words[i], words[i - 1]);
  });
  const std::string prefix = "--" + std::string{option.name} + ": ";
  return said.starts_with(prefix) ? said.substr(prefix.size()) : said;
}

// The engine would say the same of a port that is taken, but only after Enter.
std::string check_ports(const AskWorld& world, const std::vector<PublishedPort>& before, const std::string& text)
{
  constexpr std::size_t most_asked = 32; // each is a question to the kernel, with every key
  const auto words = split_words(text);
  if (!words) return "a quote is not closed";
  std::vector<PublishedPort> ports;
  std::string said = complaint_from([&] {
    NetworkWish wish{.published = before, .peers = {}};
    for (const auto& word : *words)
      for (PublishedPort& port : parse_ports(word, "--expose")) {
        if (std::find(wish.published.begin(), wish.published.end(), port) != wish.published.end()) continue;
        wish.published.push_back(port);
        ports.push_back(std::move(port));
      }
    check_wish(wish, "it");
  });
  constexpr std::string_view prefix = "--expose: ";
  if (said.starts_with(prefix)) said.erase(0, prefix.size());
  const auto taken = world().port_taken;
  for (std::size_t i = 0; said.empty() && taken && i < std::min(ports.size(), most_asked); ++i) said = taken(ports[i]);
  return said;
}

// Completes the last of several words.
std::vector<std::string> complete_paths(const std::string& typed)
{
  const std::size_t begin = typed.rfind(' ') + 1; // 0 where there is none
  std::vector<std::string> all;
  if (begin == typed.size()) return all;
  for (const auto& path : complete_path(typed.substr(begin))) all.push_back(typed.substr(0, begin) + path);
  return all;
}

// "none|host" as words; empty where a placeholder is among them.
std::vector<std::string> choices_of(std::string_view value)
{
  std::vector<std::string> words;
  if (value.find('|') == std::string_view::npos ||
      value.find_first_not_of("abcdefghijklmnopqrstuvwxyz-|") != value.npos)
    return words;
  for (words.emplace_back(); !value.empty(); value.remove_prefix(std::min(words.back().size() + 1, value.size())))
    words.emplace_back(value.substr(0, value.find('|')));
  return words;
}

Field option_field(const command::Option& option, const OptionForm& form)
{
  Field field{.label = std::string{option.name}, .help = std::string{option.help}};
  if (option.value.empty()) {
    field.choices = {"no", "yes"};
    field.value = holds(form.on, option.name) ? "yes" : "no";
    return field;
  }
  field.help = std::string{option.value} + ": " + field.help;
  if (option.repeatable) field.help += "; several with blanks between";
  field.choices = choices_of(option.value);
  if (!field.choices.empty()) return field;
  field.check = [&option, verb = std::string{form.verb}](const std::string& text) {
    return check_option(option, verb, text);
  };
  if (std::find(host_paths.begin(), host_paths.end(), option.name) != host_paths.end()) field.complete = complete_paths;
  return field;
}

void add_option_fields(std::vector<Field>& fields, const OptionForm& form, const AskWorld& world,
                       const std::vector<PublishedPort>& published = {})
{
  for (const command::Option* option : options_of(form)) {
    fields.push_back(option_field(*option, form));
    if (option->name == "expose")
      fields.back().check = [world, published](const std::string& text) { return check_ports(world, published, text); };
  }
}

} // namespace

std::optional<std::vector<std::string>> split_words(std::string_view text)
{
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote)
        quote = 0;
      else if (c == '\\' && quote == '"' && i + 1 < text.size())
        word += text[++i];
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      inside = true;
    } else if (c == '\\' && i + 1 < text.size()) {
      word += text[++i];
      inside = true;
    } else if (c == ' ' || c == '\t') {
      if (inside) words.push_back(std::exchange(word, {}));
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (quote != 0) return std::nullopt;
  if (inside) words.push_back(word);
  return words;
}

std::vector<std::string> complete_path(const std::string& typed)
{
  const auto slash = typed.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : typed.substr(0, slash);
  const std::string head = slash == std::string::npos ? "" : typed.substr(0, slash + 1);
  const std::string begin = slash == std::string::npos ? typed : typed.substr(slash + 1);
  std::vector<std::string> found;
  DIR* open_directory = opendir(directory.c_str());
  if (open_directory == nullptr) return found;
  while (const dirent* entry = readdir(open_directory)) {
    const std::string name = entry->d_name;
    if (!name.starts_with(begin) || (name[0] == '.' && begin.empty())) continue;
    struct stat about {};
    const bool is_directory = stat((directory + "/" + name).c_str(), &about) == 0 && S_ISDIR(about.st_mode);
    found.push_back(head + name + (is_directory ? "/" : ""));
    if (found.size() == 500) break;
  }
  closedir(open_directory);
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Field> build_fields(const AskWorld& world)
{
  const std::string guess = access("Conductorfile", R_OK) == 0 ? "Conductorfile"
                            : access("Dockerfile", R_OK) == 0  ? "Dockerfile"
                                                               : "";
  std::vector<Field> fields{
      {.label = "name",
       .help = "what the image will be called: web, or web:2",
       .check = [](const std::string& text) { return complaint_from([&] { normal_reference(text); }); },
       .complete = [world](const std::string& typed) { return beginning_with(world().images, typed); },
       .required = true},
      {.label = "file",
       .help = "the build file; its directory is what COPY can reach",
       .check = check_file,
       .complete = complete_path,
       .required = true,
       .value = guess},
  };
  add_option_fields(fields, build_form, world);
  return fields;
}

std::vector<std::string> build_arguments(const std::vector<std::string>& values)
{
  std::vector<std::string> arguments{"build", values[0]};
  if (!values[1].empty()) arguments.push_back(values[1]);
  append_options(arguments, build_form, values, 2);
  return arguments;
}

std::vector<Field> run_fields(const AskWorld& world)
{
  std::vector<Field> fields{
      {.label = "image",
       .help = "what it is made from: one of the images here, or a base such as busybox or debian:bookworm",
       .check = [](const std::string& text) { return complaint_from([&] { normal_reference(text); }); },
       .complete = [world](const std::string& typed) { return beginning_with(world().images, typed); },
       .required = true},
      {.label = "name",
       .help = "what the container will be called; empty: one is chosen",
       .check = [world](const std::string& text) { return check_new_name(world, text); }},
      {.label = "command", .help = "what runs in it; empty: the image's command, or a shell", .check = check_words},
  };
  add_option_fields(fields, run_form, world);
  return fields;
}

std::vector<std::string> run_arguments(const std::vector<std::string>& values)
{
  std::vector<std::string> arguments{"run", values[0]};
  if (!values[1].empty()) arguments.push_back(values[1]);
  arguments.emplace_back("-d");
  append_options(arguments, run_form, values, 3);
  if (const auto command = split_words(values[2]); command && !command->empty()) {
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), command->begin(), command->end());
  }
  return arguments;
}

std::vector<Field> rename_fields(const AskWorld& world)
{
  return {{.label = "name",
           .help = "what it will be called; its peers find it by that at once",
           .check = [world](const std::string& text) { return check_new_name(world, text); },
           .required = true}};
}

std::vector<std::string> rename_arguments(const std::string& container, const std::vector<std::string>& values)
{
  return {"rename", container, values[0]};
}

std::vector<Field> connect_fields(const AskWorld& world, const LinkView& before)
{
  std::vector<Field> fields;
  add_option_fields(fields, connect_form, world, before.published);
  for (Field& field : fields) {
    if (field.label != "internet" || !before.internet) continue;
    field.choices = {"yes"};
    field.value = "yes";
    field.help += ": it does already; delnetwork in the menu takes that away";
  }
  return fields;
}

std::vector<std::string> connect_arguments(const std::string& container, const std::vector<std::string>& values)
{
  std::vector<std::string> arguments{connect_form.verb, container};
  append_options(arguments, connect_form, values, 0);
  return arguments;
}

ConnectWish connect_wish(const std::vector<std::string>& values)
{
  ConnectWish wish;
  const auto options = options_of(connect_form);
  for (std::size_t i = 0; i < std::min(options.size(), values.size()); ++i) {
    if (options[i]->name == "internet") wish.internet = values[i] == "yes";
    if (options[i]->name != "expose") continue;
    for (const auto& word : split_words(values[i]).value_or(std::vector<std::string>{}))
      complaint_from([&] {
        for (PublishedPort& port : parse_ports(word, "--expose")) wish.published.push_back(std::move(port));
      });
  }
  return wish;
}

std::vector<Field> peer_fields(std::function<std::vector<std::string>()> others,
                               std::function<std::string(const std::string&)> check)
{
  return {
      {.label = "with",
       .help = "the other container; both may talk to each other then, whoever begins",
       .check = std::move(check),
       .complete = [others = std::move(others)](const std::string& typed) { return beginning_with(others(), typed); },
       .required = true}};
}

std::vector<std::string> peer_arguments(const std::string& container, const std::vector<std::string>& values)
{
  return {"peer", container, values[0]};
}

} // namespace conductor::console
