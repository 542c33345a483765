// The user of a container: numbers first, then the image's own passwd(5) and group(5).

#include "core/container/user.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/kernel/inroot.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

namespace conductor {
namespace {

constexpr size_t most_bytes = 4 << 20; // of a passwd or group file

// A number as an id is written: digits only, no more than 32 bits, not 4294967295, which means "none" to setresuid(2).
std::optional<uint32_t> id_of(std::string_view text)
{
  uint32_t id = 0;
  if (!holds(guard::strict_numbers)) return text.empty() ? 0 : static_cast<uint32_t>(std::atoll(text.data()));
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, id);
  if (error != std::errc{} || rest != end || text.empty() || id == ~0U) return std::nullopt;
  return id;
}

// What begins like a number must be one: "0x0", "1000a", "+1" and "-1" are nobody's name.
bool looks_like_number(std::string_view text)
{
  return !text.empty() && ((text.front() >= '0' && text.front() <= '9') || text.front() == '+' || text.front() == '-');
}

template <size_t Count>
struct Row {
  std::array<std::string_view, Count> fields;
  std::string_view operator[](size_t i) const { return fields[i]; }
};

// Walks the lines "a:b:c" of a text; a line with fewer than `needed` fields is passed over. use: Row -> true to stop.
template <size_t Count, class Use>
void each_row(std::string_view text, size_t needed, Use&& use)
{
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    Row<Count> row;
    size_t count = 0;
    while (count < Count) {
      const size_t colon = line.find(':');
      row.fields[count++] = line.substr(0, colon);
      if (colon == std::string_view::npos) break;
      line.remove_prefix(colon + 1);
    }
    if (count >= needed && use(row)) return;
  }
}

using PasswdRow = Row<7>; // name:password:uid:gid:gecos:home:shell
using GroupRow = Row<4>;  // name:password:gid:member,member

Error bad_user(std::string_view user, const std::string& why, const std::string& hint = {})
{
  return Error{fmt::format("cannot run as user '{}': {}", user, why), 0, hint}.with_status(126);
}

// The first row that fits counts, as getpwuid(3) and getpwnam(3) have it.
bool take_passwd(User& user, std::string_view passwd, auto&& fits)
{
  bool found = false;
  each_row<7>(passwd, 4, [&](const PasswdRow& row) {
    const std::optional<uint32_t> uid = id_of(row[2]), gid = id_of(row[3]);
    if (!uid || !gid || !fits(row, *uid)) return false;
    user.uid = *uid;
    user.gid = *gid;
    user.name = row[0];
    if (row[5].starts_with('/')) user.home = row[5];
    user.shell = row[6];
    return found = true;
  });
  return found;
}

std::optional<gid_t> group_of(std::string_view name, std::string_view group)
{
  std::optional<gid_t> gid;
  each_row<4>(group, 3, [&](const GroupRow& row) {
    if (row[0] != name) return false;
    gid = id_of(row[2]);
    return gid.has_value();
  });
  return gid;
}

bool is_member(std::string_view members, std::string_view name)
{
  while (!members.empty()) {
    const size_t comma = members.find(',');
    if (members.substr(0, comma) == name) return true;
    members = comma == std::string_view::npos ? std::string_view{} : members.substr(comma + 1);
  }
  return false;
}

void add_groups(User& user, std::string_view group)
{
  user.groups = {user.gid};
  if (user.name.empty()) return;
  each_row<4>(group, 4, [&](const GroupRow& row) {
    const std::optional<uint32_t> gid = id_of(row[2]);
    const bool is_new = gid && std::ranges::find(user.groups, *gid) == user.groups.end();
    if (is_new && is_member(row[3], user.name)) user.groups.push_back(*gid);
    return false;
  });
}

// A file of the image, empty when it is not there; `problem` says why it cannot be read.
std::string text_in_root(int root, const char* path, std::optional<Error>& problem)
{
  try {
    return kernel::read_in_root(root, path, most_bytes).value_or("");
  } catch (const Error& error) {
    problem = error;
    return {};
  }
}

} // namespace

User resolve_user(std::string_view user, std::string_view passwd, std::string_view group)
{
  const size_t colon = user.find(':');
  const std::string_view first = user.substr(0, colon);
  User found;
  const auto is_named = [&](const PasswdRow& row, uint32_t) { return row[0] == first; };
  if (!holds(guard::numbers_first) && take_passwd(found, passwd, is_named)) return found;
  if (user.empty() || id_of(first)) {
    const uint32_t uid = user.empty() ? 0 : *id_of(first);
    if (!take_passwd(found, passwd, [&](const PasswdRow&, uint32_t id) { return id == uid; })) found.uid = uid;
  } else {
    if (first.empty() || looks_like_number(first)) throw bad_user(user, fmt::format("'{}' is no user id", first));
    if (!take_passwd(found, passwd, is_named))
      throw bad_user(user, fmt::format("the image's /etc/passwd knows no '{}'", first),
                     fmt::format("'RUN adduser {}' in the build file makes one; a number needs none", first));
  }
  if (colon == std::string_view::npos) {
    add_groups(found, group);
    return found;
  }
  // With a group of its own the user gets that group and no other.
  const std::string_view second = user.substr(colon + 1);
  std::optional<uint32_t> gid = id_of(second);
  if (!gid) {
    if (second.empty() || looks_like_number(second)) throw bad_user(user, fmt::format("'{}' is no group id", second));
    gid = group_of(second, group);
    if (!gid) throw bad_user(user, fmt::format("the image's /etc/group knows no '{}'", second));
  }
  found.gid = *gid;
  found.groups = {*gid};
  return found;
}

User resolve_user_in_root(int root, std::string_view user)
{
  std::optional<Error> problem;
  const std::string passwd = text_in_root(root, "etc/passwd", problem);
  const std::string group = text_in_root(root, "etc/group", problem);
  try {
    return resolve_user(user, passwd, group);
  } catch (const Error&) {
    if (problem) throw problem->within(fmt::format("cannot run as user '{}'", user)).with_status(126);
    throw;
  }
}

User resolve_owner_in_root(int root, std::string_view owner)
{
  try {
    if (!id_of(owner)) return resolve_user_in_root(root, owner);
    User user;
    user.uid = user.gid = *id_of(owner);
    return user;
  } catch (const Error& error) {
    throw error.within(fmt::format("--chown={}", owner)).with_status(1);
  }
}

} // namespace conductor
