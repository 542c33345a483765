#include "core/image/apt.h"

#include "core/kernel/files.h"

#include <algorithm>

namespace conductor::image {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trim(std::string_view text)
{
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string> words_of(std::string_view text)
{
  std::vector<std::string> words;
  while (!(text = trim(text)).empty()) {
    const size_t end = std::min(text.find_first_of(" \t\r"), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

std::string lower(std::string_view text)
{
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_yes(std::string_view text)
{
  const std::string value = lower(trim(text));
  return value == "yes" || value == "true" || value == "1";
}
bool is_no(std::string_view text)
{
  const std::string value = lower(trim(text));
  return value == "no" || value == "false" || value == "0";
}

template <class Use>
void for_each_line(std::string_view text, Use&& use)
{
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    use(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// One paragraph of deb822: fields with their continued lines.
using Fields = std::vector<std::pair<std::string, std::string>>;

std::string field(const Fields& fields, std::string_view name)
{
  for (const auto& [key, value] : fields)
    if (key == name) return value;
  return {};
}

std::vector<std::string> list_field(const Fields& fields, std::string_view name)
{
  std::string value = field(fields, name);
  std::replace(value.begin(), value.end(), '\n', ' ');
  return words_of(value);
}

// A key that stands in the file itself: each line indented, an empty one written as " .".
std::string signed_by_field(const Fields& fields)
{
  const std::string value = field(fields, "signed-by");
  if (value.find("-----BEGIN") == std::string::npos) {
    const auto paths = list_field(fields, "signed-by");
    return paths.empty() ? "" : paths.front();
  }
  std::string key;
  for_each_line(value, [&](std::string_view line) {
    line = trim(line);
    if (key.empty() && line.empty()) return;
    key += std::string{line == "." ? "" : line} + "\n";
  });
  return key;
}

std::optional<AptSource> source_of(const Fields& fields)
{
  const auto types = list_field(fields, "types");
  if (std::find(types.begin(), types.end(), "deb") == types.end()) return std::nullopt;
  if (is_no(field(fields, "enabled"))) return std::nullopt;
  return AptSource{.uris = list_field(fields, "uris"),
                   .suites = list_field(fields, "suites"),
                   .components = list_field(fields, "components"),
                   .signed_by = signed_by_field(fields),
                   .trusted = is_yes(field(fields, "trusted"))};
}

// "deb [a=b c=d] URI SUITE COMPONENT..."
std::optional<AptSource> source_of(std::string_view line)
{
  line = trim(line.substr(0, line.find('#')));
  if (!line.starts_with("deb") || line.size() < 5 || !is_blank(line[3])) return std::nullopt;
  line = trim(line.substr(3));
  AptSource source;
  if (line.starts_with('[')) {
    const size_t end = line.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    for (const std::string& option : words_of(line.substr(1, end - 1))) {
      if (option.starts_with("signed-by=")) source.signed_by = option.substr(10);
      if (option.starts_with("trusted=")) source.trusted = is_yes(option.substr(8));
    }
    source.signed_by = source.signed_by.substr(0, source.signed_by.find(','));
    line = line.substr(end + 1);
  }
  const auto words = words_of(line);
  if (words.size() < 3) return std::nullopt;
  source.uris = {words[0]};
  source.suites = {words[1]};
  source.components.assign(words.begin() + 2, words.end());
  return source;
}

bool contains(const std::vector<std::string>& list, std::string_view word)
{
  return std::find(list.begin(), list.end(), word) != list.end();
}

// How sure it is that an address is the distribution's archive, and not that of somebody who builds packages for it:
// those use the same suites, but rarely the path.
int fitness(const AptSource& source, const std::string& uri, const std::string& distribution)
{
  if (!contains(source.components, "main")) return 0;
  std::string_view path = uri;
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::string_view last = path.substr(path.rfind('/') + 1);
  int points = 1;
  if (last == distribution || last.starts_with(distribution + "-")) points += 3;
  if (path.find(distribution) != std::string_view::npos) points += 1;
  if (source.signed_by.find(distribution + "-archive") != std::string::npos) points += 2;
  return points;
}

struct Found {
  const AptSource* source = nullptr;
  std::string uri;
  int points = 0;
};

// The best entry with a suite whose name is one of the distribution's followed by `suffix`.
Found best(const std::vector<AptSource>& host, const std::string& distribution, const std::vector<std::string>& suites,
           std::string_view suffix, std::string_view wanted)
{
  Found found;
  for (const AptSource& source : host) {
    for (const std::string& known : suites) {
      if (!contains(source.suites, known + std::string{suffix})) continue;
      for (const std::string& uri : source.uris) {
        const bool usable = uri.starts_with("http://") || uri.starts_with("https://") || uri.starts_with("file:");
        int points = usable ? fitness(source, uri, distribution) * 2 : 0;
        if (points > 0 && known == wanted) ++points; // an entry for the very suite before one for another
        if (points > found.points) found = {&source, uri, points};
      }
    }
  }
  return found;
}

} // namespace

std::vector<AptSource> parse_one_line_sources(std::string_view text)
{
  std::vector<AptSource> sources;
  for_each_line(text, [&](std::string_view line) {
    if (auto source = source_of(line)) sources.push_back(std::move(*source));
  });
  return sources;
}

std::vector<AptSource> parse_deb822_sources(std::string_view text)
{
  std::vector<AptSource> sources;
  Fields fields;
  const auto end_paragraph = [&] {
    if (auto source = source_of(fields)) sources.push_back(std::move(*source));
    fields.clear();
  };
  for_each_line(text, [&](std::string_view line) {
    if (line.starts_with('#')) return; // also inside a field
    if (trim(line).empty()) return end_paragraph();
    if (is_blank(line.front())) {
      if (!fields.empty()) fields.back().second += "\n" + std::string{trim(line)};
      return;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos)
      fields.emplace_back(lower(line.substr(0, colon)), std::string{trim(line.substr(colon + 1))});
  });
  end_paragraph();
  return sources;
}

std::vector<AptSource> read_sources(const std::string& root)
{
  std::vector<AptSource> all;
  const auto add = [&](std::vector<AptSource>&& more) {
    for (AptSource& source : more) all.push_back(std::move(source));
  };
  const auto apt = kernel::find_directory(AT_FDCWD, root + "/etc/apt");
  if (!apt) return all;
  if (const auto text = kernel::find_content(apt->get(), "sources.list")) add(parse_one_line_sources(*text));
  const auto parts = kernel::find_directory(apt->get(), "sources.list.d");
  if (!parts) return all;
  for (const std::string& name : kernel::list_directory(parts->get(), ".")) {
    if (!name.ends_with(".list") && !name.ends_with(".sources")) continue;
    const auto text = kernel::find_content(parts->get(), name);
    if (!text) continue;
    add(name.ends_with(".list") ? parse_one_line_sources(*text) : parse_deb822_sources(*text));
  }
  return all;
}

std::vector<SuiteSource> choose_sources(const std::vector<AptSource>& host, const std::string& distribution,
                                        const std::string& suite, const std::vector<std::string>& suites)
{
  std::vector<SuiteSource> chosen;
  const Found main = best(host, distribution, suites, "", suite);
  if (main.source == nullptr) return chosen;
  // Debian's rolling suite has neither updates nor security, they go into it directly.
  constexpr std::string_view rolling = "sid";
  for (const std::string_view suffix : {"", "-updates", "-security"}) {
    const Found found = suffix.empty() ? main : best(host, distribution, suites, suffix, suite);
    if (found.source == nullptr || (suite == rolling && !suffix.empty())) continue;
    chosen.push_back({.uri = found.uri,
                      .suite = suite + std::string{suffix},
                      .components = "main",
                      .signed_by = found.source->signed_by,
                      .trusted = found.source->trusted});
    // What ubuntu keeps outside main belongs to its ordinary life: most programs are in universe.
    if (contains(found.source->components, "universe")) chosen.back().components = "main universe";
  }
  return chosen;
}

std::string one_line(const SuiteSource& source, const std::string& keyring)
{
  std::string options;
  if (!keyring.empty()) options += " signed-by=" + keyring;
  if (source.trusted) options += " trusted=yes";
  if (!options.empty()) options = " [" + options.substr(1) + "]";
  return "deb" + options + " " + source.uri + " " + source.suite + " " + source.components;
}

} // namespace conductor::image
