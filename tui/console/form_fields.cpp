// The fields of the build and run forms, what they complete and check, and the command lines that they stand for.
#include "tui/console/form.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/store/images.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

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

std::string check_pairs(const std::string& text)
{
  const auto words = split_words(text);
  if (!words) return "a quote is not closed";
  for (const auto& word : *words)
    if (word.find('=') == std::string::npos || word[0] == '=') return "'" + word + "' is no NAME=VALUE";
  return {};
}

std::string check_size(const std::string& text)
{
  unsigned long long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  constexpr std::string_view units = "kKmMgGtT";
  const bool good = error == std::errc{} && number > 0 &&
                    (unit.empty() || (unit.size() == 1 && units.find(unit[0]) != std::string_view::npos));
  return good ? std::string{} : "a size is a number with K, M or G behind: 256M";
}

std::string check_cpus(const std::string& text)
{
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return *end == '\0' && number > 0 && number < 100000 ? std::string{} : "a number of processors: 0.5";
}

std::string check_count(const std::string& text)
{
  unsigned long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number > 0 ? std::string{} : "a whole number: 512";
}

std::string check_volumes(const std::string& text)
{
  const auto words = split_words(text);
  if (!words) return "a quote is not closed";
  for (const auto& word : *words) {
    const auto colon = word.find(':');
    if (colon == std::string::npos || word[0] != '/' || word.size() < colon + 2 || word[colon + 1] != '/')
      return "'" + word + "' is no /HOST/PATH:/PATH[:ro]";
    if (access(word.substr(0, colon).c_str(), F_OK) != 0) return "there is no " + word.substr(0, colon);
  }
  return {};
}

std::string check_file(const std::string& path)
{
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) return "there is no such file";
  if (!S_ISREG(about.st_mode)) return "that is no file";
  return access(path.c_str(), R_OK) == 0 ? std::string{} : "it cannot be read";
}

bool is_yes(const std::string& text) { return text == "yes" || text == "y"; }

std::string check_yes_no(const std::string& text)
{
  return is_yes(text) || text == "no" || text == "n" ? std::string{} : "yes or no";
}

void append_words(std::vector<std::string>& arguments, const std::string& option, const std::string& text)
{
  for (const auto& word : split_words(text).value_or(std::vector<std::string>{})) {
    arguments.push_back(option);
    arguments.push_back(word);
  }
}

void append_option(std::vector<std::string>& arguments, const char* option, const std::string& value)
{
  if (!value.empty()) arguments.insert(arguments.end(), {option, value});
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

std::vector<Field> build_fields(const FormWorld& world)
{
  const std::string guess = access("Conductorfile", R_OK) == 0 ? "Conductorfile"
                            : access("Dockerfile", R_OK) == 0  ? "Dockerfile"
                                                               : "";
  return {
      {.label = "name",
       .help = "what the image will be called: web, or web:2",
       .check = [](const std::string& text) { return complaint_from([&] { normal_reference(text); }); },
       .complete = [images = world.images](const std::string& typed) { return beginning_with(images, typed); },
       .required = true},
      {.label = "file",
       .help = "the build file; its directory is what COPY can reach",
       .check = check_file,
       .complete = complete_path,
       .required = true,
       .value = guess},
      {.label = "arguments", .help = "values for ARG, separated by blanks: VERSION=3 MODE=fast", .check = check_pairs},
      {.label = "target", .help = "stop at this stage of the file"},
      {.label = "fresh",
       .help = "yes: run every step again, whatever was built before",
       .check = check_yes_no,
       .value = "no"},
  };
}

std::vector<std::string> build_arguments(const std::vector<std::string>& values)
{
  std::vector<std::string> arguments{"build", values[0]};
  if (!values[1].empty()) arguments.push_back(values[1]);
  append_words(arguments, "--build-arg", values[2]);
  append_option(arguments, "--target", values[3]);
  if (is_yes(values[4])) arguments.emplace_back("--no-cache");
  return arguments;
}

std::vector<Field> run_fields(const FormWorld& world)
{
  return {
      {.label = "image",
       .help = "what it is made from: one of the images here, or a base such as busybox or debian:bookworm",
       .check = [](const std::string& text) { return complaint_from([&] { normal_reference(text); }); },
       .complete = [images = world.images](const std::string& typed) { return beginning_with(images, typed); },
       .required = true},
      {.label = "name",
       .help = "what the container will be called; empty: one is chosen",
       .check =
           [taken = world.containers](const std::string& text) {
             if (std::find(taken.begin(), taken.end(), text) != taken.end())
               return std::string{"a container is called that already"};
             return complaint_from([&] { check_name(text, "container"); });
           }},
      {.label = "command", .help = "what runs in it; empty: the image's command, or a shell", .check = check_words},
      {.label = "terminal",
       .help = "yes: the command gets a terminal, as a shell wants it",
       .check = check_yes_no,
       .value = "yes"},
      {.label = "memory", .help = "the most it may use: 256M", .check = check_size},
      {.label = "cpus", .help = "how many processors it may keep busy: 0.5", .check = check_cpus},
      {.label = "pids", .help = "how many processes it may have", .check = check_count},
      {.label = "volumes",
       .help = "directories of the host, separated by blanks: /srv/data:/data /etc/x:/x:ro",
       .check = check_volumes},
      {.label = "environment", .help = "separated by blanks: MODE=test NAME='two words'", .check = check_pairs},
  };
}

std::vector<std::string> run_arguments(const std::vector<std::string>& values)
{
  std::vector<std::string> arguments{"run", values[0]};
  if (!values[1].empty()) arguments.push_back(values[1]);
  arguments.emplace_back("-d");
  if (is_yes(values[3])) arguments.emplace_back("-t");
  append_option(arguments, "--memory", values[4]);
  append_option(arguments, "--cpus", values[5]);
  append_option(arguments, "--pids", values[6]);
  append_words(arguments, "-v", values[7]);
  append_words(arguments, "--env", values[8]);
  if (const auto command = split_words(values[2]); command && !command->empty()) {
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), command->begin(), command->end());
  }
  return arguments;
}

} // namespace conductor::console
