#include "core/image/base.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"

#include <array>

namespace conductor::image {
namespace {

// A new release is one row; where `latest` goes is in its tags.
struct Row {
  const char* name;
  const char* suite;
  std::array<const char*, 3> tags; // besides the suite itself
};
constexpr Row table[] = {
    {"debian", "buster", {"10"}},
    {"debian", "bullseye", {"11", "oldoldstable"}},
    {"debian", "bookworm", {"12", "oldstable"}},
    {"debian", "trixie", {"13", "stable", "latest"}},
    {"debian", "forky", {"14", "testing"}},
    {"debian", "sid", {"unstable"}},
    {"ubuntu", "focal", {"20.04"}},
    {"ubuntu", "jammy", {"22.04"}},
    {"ubuntu", "noble", {"24.04", "latest"}},
    {"busybox", "", {"latest", "stable"}},
    {"scratch", "", {"latest"}},
};

bool has_tag(const Row& row, std::string_view tag)
{
  if (tag == row.suite && !tag.empty()) return true;
  for (const char* other : row.tags)
    if (other != nullptr && tag == other) return true;
  return false;
}

BaseKind kind_of(std::string_view name)
{
  if (name == "busybox") return BaseKind::busybox;
  return name == "scratch" ? BaseKind::scratch : BaseKind::distribution;
}

} // namespace

std::string Base::reference() const { return name + ":" + (suite.empty() ? "latest" : suite) + (slim ? "-slim" : ""); }

std::optional<Base> find_base(std::string_view reference)
{
  for (const std::string_view prefix : {"docker.io/", "library/"})
    if (reference.starts_with(prefix)) reference.remove_prefix(prefix.size());
  const size_t colon = reference.find(':');
  const std::string_view name = reference.substr(0, colon);
  std::string_view tag = colon == std::string_view::npos ? "latest" : reference.substr(colon + 1);
  const BaseKind kind = kind_of(name);
  const bool slim = kind == BaseKind::distribution && tag.ends_with("-slim");
  if (slim) tag.remove_suffix(5);

  std::vector<std::string> known;
  for (const Row& row : table) {
    if (name != row.name) continue;
    if (has_tag(row, tag)) return Base{kind, row.name, row.suite, slim};
    if (*row.suite != '\0') known.emplace_back(row.suite);
    for (const char* other : row.tags)
      if (other != nullptr) known.emplace_back(other);
  }
  if (known.empty()) return std::nullopt;
  std::string hint = nearest_hint(tag, known);
  if (hint.empty()) {
    hint = "known are";
    for (const std::string& each : known) hint += " " + each;
  }
  throw Error{std::string{name} + " has no '" + visible(tag) + "'", 0, hint};
}

std::optional<Base> known_base(std::string_view reference)
{
  try {
    return find_base(reference);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<std::string> suites_of(std::string_view distribution)
{
  std::vector<std::string> suites;
  for (const Row& row : table)
    if (distribution == row.name && *row.suite != '\0') suites.emplace_back(row.suite);
  return suites;
}

} // namespace conductor::image
