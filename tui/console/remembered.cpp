#include "tui/console/remembered.h"

#include "core/base/handle.h"
#include "core/container/spec.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::console {
namespace {

using Json = nlohmann::json;

constexpr std::size_t most_bytes = 64U << 10, most_panes = 50;

// A value of that type and name, or what it is by itself.
template <class Value>
Value get(const Json& object, const char* name, Value otherwise)
{
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  try {
    return found->get<Value>();
  } catch (const Json::exception&) {
    return otherwise;
  }
}

const Json& list(const Json& object, const char* name)
{
  static const Json none = Json::array();
  const auto found = object.find(name);
  return found != object.end() && found->is_array() && found->size() <= most_panes ? *found : none;
}

} // namespace

std::string to_json(const Remembered& remembered)
{
  Json shells = Json::array(), logs = Json::array();
  for (const auto& each : remembered.shells)
    shells.push_back({{"pane", each.number}, {"container", each.container}, {"session", each.session}});
  for (const auto& each : remembered.logs) logs.push_back({{"pane", each.number}, {"containers", each.containers}});
  return Json{{"theme", remembered.theme},
              {"set_theme", remembered.set_theme},
              {"sort", static_cast<int>(remembered.sort)},
              {"reverse", remembered.reverse},
              {"divider", remembered.divider},
              {"tab", remembered.tab},
              {"selected", remembered.selected},
              {"shape", remembered.shape},
              {"focused", remembered.focused},
              {"shells", shells},
              {"logs", logs}}
             .dump(2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

Remembered remembered_from_json(std::string_view text)
{
  Remembered remembered;
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return remembered;
  remembered.theme = get(json, "theme", std::string{});
  remembered.set_theme = get(json, "set_theme", std::string{});
  remembered.sort = static_cast<Sort>(std::clamp(get(json, "sort", 0), 0, static_cast<int>(Sort::state)));
  remembered.reverse = get(json, "reverse", false);
  remembered.divider = std::clamp(get(json, "divider", 0), -1000, 1000);
  remembered.tab = std::clamp(get(json, "tab", 0), 0, 100);
  remembered.selected = get(json, "selected", std::string{});
  remembered.shape = get(json, "shape", std::string{});
  remembered.focused = get(json, "focused", 0);
  for (const Json& each : list(json, "shells"))
    if (each.is_object())
      remembered.shells.push_back(
          {get(each, "pane", 0), get(each, "container", std::string{}), get(each, "session", std::string{})});
  for (const Json& each : list(json, "logs"))
    if (each.is_object())
      remembered.logs.push_back({get(each, "pane", 0), get(each, "containers", std::vector<std::string>{})});
  return remembered;
}

std::string remembered_path(const std::string& root_id)
{
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string{value != nullptr ? value : ""};
  };
  std::string place = variable("XDG_STATE_HOME");
  if (place.empty() && !variable("HOME").empty()) place = variable("HOME") + "/.local/state";
  return place.empty() || root_id.empty() ? "" : place + "/conductor/console-" + root_id + ".json";
}

std::string load_remembered(const std::string& path)
{
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)};
  struct stat about {};
  const bool is_ours =
      file && ::fstat(file.get(), &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == ::geteuid();
  std::string text(is_ours ? most_bytes : 0, '\0');
  const ssize_t got = is_ours ? ::read(file.get(), text.data(), text.size()) : 0;
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

bool save_remembered(const std::string& path, const std::string& text)
{
  // A HOME that sudo has left may be another user's, with links of his: nothing is made or written there.
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string directory = path.substr(0, slash);
    struct stat about {};
    if (::lstat(directory.c_str(), &about) == 0) {
      const bool is_ours = about.st_uid == ::geteuid() || about.st_uid == 0;
      if (!is_ours) return false;
    } else if (::mkdir(directory.c_str(), 0700) < 0)
      return false;
  }
  const std::string fresh = path + "." + random_hex(8) + ".tmp";
  const Fd file{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!file) return false;
  const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (written && ::rename(fresh.c_str(), path.c_str()) == 0) return true;
  ::unlink(fresh.c_str());
  return false;
}

} // namespace conductor::console
