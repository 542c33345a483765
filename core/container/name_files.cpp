#include "core/container/name_files.h"

#include "core/base/error.h"
#include "core/container/enter.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/mount.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

namespace conductor {
namespace {

constexpr const char* resolver_file = "/etc/resolv.conf";
// Where those that answer on the loopback write down whom they ask themselves.
constexpr std::array<const char*, 3> upstream_files{
    "/run/systemd/resolve/resolv.conf",        // systemd-resolved.service(8)
    "/run/NetworkManager/no-stub-resolv.conf", // NetworkManager(8), with dns=dnsmasq or systemd-resolved
    "/run/dnsmasq/resolv.conf",                // resolvconf(8) for dnsmasq(8)
};
constexpr size_t file_limit = 1 << 20;
constexpr mode_t for_everybody = 0644; // whoever reads it inside is nobody's owner out here

// Words that mean something else already.
bool is_taken(std::string_view name) { return name == "localhost" || name == "host"; }

void add_names(std::string& text, const Subnet& subnet, const NamedPeer& named)
{
  std::string names;
  if (!is_taken(named.name)) names = named.name;
  if (!named.hostname.empty() && named.hostname != named.name && !is_taken(named.hostname))
    names += (names.empty() ? "" : " ") + named.hostname;
  if (names.empty()) return;
  text += fmt::format("{}\t{}\n", subnet.address(named.index), names);
  if (!subnet.ipv6.empty()) text += fmt::format("{}\t{}\n", subnet.address6(named.index), names);
}

struct Line {
  std::string_view whole, keyword, value;
};

// Each line that says something (resolv.conf(5)): comments and blank ones are left out.
std::vector<Line> lines_of(std::string_view text)
{
  constexpr std::string_view blank = " \t\r";
  std::vector<Line> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
    line = line.substr(0, line.find_last_not_of(blank) + 1);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    const size_t end = std::min(line.find_first_of(blank), line.size());
    std::string_view value = line.substr(end);
    value.remove_prefix(std::min(value.find_first_not_of(blank), value.size()));
    lines.push_back({line, line.substr(0, end), value});
  }
  return lines;
}

enum class Server : char { none, loopback, ipv4, ipv6 };

Server kind_of(const Line& line)
{
  if (line.keyword != "nameserver") return Server::none;
  const std::string address{line.value.substr(0, line.value.find_first_of(" \t%"))}; // fe80::1%eth0
  in_addr four{};
  in6_addr six{};
  // 0.0.0.0 and :: are the host itself as well.
  if (::inet_pton(AF_INET, address.c_str(), &four) == 1) {
    const uint32_t value = ntohl(four.s_addr);
    return value >> 24 == 127 || value == 0 ? Server::loopback : Server::ipv4;
  }
  if (::inet_pton(AF_INET6, address.c_str(), &six) != 1) return Server::none;
  // A link-local one is on a link that the container does not see.
  if (IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_UNSPECIFIED(&six) || IN6_IS_ADDR_LINKLOCAL(&six))
    return Server::loopback;
  return Server::ipv6;
}

bool names_server_elsewhere(std::string_view text)
{
  const auto lines = lines_of(text);
  return std::any_of(lines.begin(), lines.end(), [](const Line& line) {
    const Server kind = kind_of(line);
    return kind == Server::ipv4 || kind == Server::ipv6;
  });
}

} // namespace

std::string hosts_text(const Subnet& subnet, const NamedPeer& self, const std::vector<NamedPeer>& peers)
{
  std::string text = "# Written by conductor: who may be talked to.\n127.0.0.1\tlocalhost\n::1\tlocalhost\n";
  add_names(text, subnet, self);
  text += fmt::format("{}\thost\n", subnet.host());
  if (!subnet.ipv6.empty()) text += fmt::format("{}\thost\n", subnet.host6());
  for (const auto& peer : peers) add_names(text, subnet, peer);
  return text;
}

Resolver resolver_text(std::string_view host, bool internet, bool ipv6)
{
  Resolver made;
  if (!internet) {
    made.text =
        "# Written by conductor. Without the internet there is no name server: see conductor help addnetwork.\n";
  } else {
    made.text = "# Written by conductor, from the host's.\n";
  }
  for (const Line& line : lines_of(host)) {
    const Server kind = kind_of(line);
    const bool is_reached = kind == Server::ipv4 || (kind == Server::ipv6 && ipv6);
    const bool is_setting =
        line.keyword == "options" ||
        (internet && (line.keyword == "search" || line.keyword == "domain" || line.keyword == "sortlist"));
    if (!is_setting && !(internet && is_reached)) continue;
    made.text += std::string{line.whole} + "\n";
    if (!is_setting) ++made.servers;
  }
  return made;
}

bool has_ipv6_server(std::string_view host)
{
  const auto lines = lines_of(host);
  return std::any_of(lines.begin(), lines.end(), [](const Line& line) { return kind_of(line) == Server::ipv6; });
}

std::string_view choose_resolver(std::string_view etc, const std::vector<std::string>& upstream)
{
  if (names_server_elsewhere(etc)) return etc;
  const auto found = std::find_if(upstream.begin(), upstream.end(), names_server_elsewhere);
  return found == upstream.end() ? etc : std::string_view{*found};
}

std::string read_host_resolver()
{
  // The host's own file may be a link; that is the administrator's business.
  const auto read = [](const char* path) -> std::string {
    const Fd fd{::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) < 0 || !S_ISREG(status.st_mode)) return {};
    return kernel::read_all(fd.get(), path, file_limit);
  };
  std::string etc = read(resolver_file);
  if (names_server_elsewhere(etc)) return etc;
  std::vector<std::string> upstream;
  for (const char* file : upstream_files) upstream.push_back(read(file));
  return std::string{choose_resolver(etc, upstream)};
}

void make_name_files(const Root& root, const std::string& id)
{
  for (const NameFile& file : name_files) write_name_file(root, id, file, "");
}

void write_name_file(const Root& root, const std::string& id, const NameFile& file, std::string_view text)
{
  kernel::rewrite_file(root.trace(), root.run(), "c/" + id + "/" + file.name, text, for_everybody);
}

bool is_covered(const Spec& spec, const NameFile& file)
{
  return std::any_of(spec.volumes.begin(), spec.volumes.end(), [&](const Volume& volume) {
    return volume.target == file.target || volume.target == "/etc" || volume.target == "/etc/";
  });
}

namespace {

// What goes wrong in there is the container's own doing, and names are a convenience.
template <class Act>
void attempt(const Root& root, const Container& container, const char* what, Act&& act)
{
  try {
    act_inside(root, container, act);
  } catch (const Error& error) {
    if (error.number() == EINTR || error.number() == ECANCELED) throw;
    root.trace().notice(fmt::format("'{}': {}: {}", container.spec.name, what, error.sentence()));
  }
}

} // namespace

void show_name_files(const Root& root, const Container& container)
{
  Trace& trace = root.trace();
  std::array<Fd, std::size(name_files)> mounts;
  for (size_t at = 0; at < mounts.size(); ++at) {
    if (is_covered(container.spec, name_files[at])) continue;
    mounts[at] = kernel::clone_tree(trace, root.run(), "c/" + container.spec.id + "/" + name_files[at].name, false);
    kernel::set_attributes(trace, mounts[at].get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, false);
  }
  attempt(root, container, "it finds no names until it is started again", [&](int inside) {
    for (size_t at = 0; at < mounts.size(); ++at) {
      if (!mounts[at]) continue;
      const Fd target = kernel::make_file_in_root(trace, inside, name_files[at].target, 0644);
      kernel::attach(trace, mounts[at].get(), target.get(), name_files[at].target);
    }
  });
}

void hide_name_files(const Root& root, const Container& container)
{
  Trace& trace = root.trace();
  const Fd proc = kernel::open_directory(AT_FDCWD, "/proc", O_PATH);
  // Looked at here: the container's root has no business in our run directory.
  std::array<struct stat, std::size(name_files)> ours{};
  for (size_t at = 0; at < ours.size(); ++at) {
    const std::string path = "c/" + container.spec.id + "/" + name_files[at].name;
    if (::fstatat(root.run(), path.c_str(), &ours[at], AT_SYMLINK_NOFOLLOW) < 0) ours[at].st_ino = 0;
  }
  attempt(root, container, "its names stay where they are", [&](int inside) {
    const Fd own_descriptors = kernel::open_directory(proc.get(), "self/fd", O_PATH);
    for (size_t at = 0; at < ours.size(); ++at) {
      // The container may have led the name elsewhere; nothing but our own mount may be taken away there.
      const auto target = kernel::find_in_root(inside, name_files[at].target, O_PATH);
      struct stat found {};
      if (!target || ::fstat(target->get(), &found) < 0) continue;
      if (found.st_dev == ours[at].st_dev && found.st_ino == ours[at].st_ino)
        kernel::detach_by(trace, own_descriptors.get(), target->get(), name_files[at].target);
    }
  });
}

} // namespace conductor
