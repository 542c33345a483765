// /etc/hosts and /etc/resolv.conf of a container with a link (NET.md 9).
//
// Exactly those are named that it may talk to: itself, the host, its peers. libc reads the file at every look-up, so a
// new peer is known by name at once. Both files lie in the run directory and belong to the host; the container sees
// them read-only. They are written in place, because a bind mount would go on showing the old file.
#pragma once

#include "core/network.h"
#include "core/store/containers.h"

#include <string>
#include <string_view>
#include <vector>

namespace conductor {

struct NamedPeer {
  std::string name, hostname;
  LinkIndex index = 0;
};

// hostname: also its own; empty or the same as the name: once.
std::string hosts_text(const Subnet& subnet, const NamedPeer& self, const std::vector<NamedPeer>& peers);

struct Resolver {
  std::string text;
  size_t servers = 0; // that are named in it
};
// What a container reads of the host's resolv.conf (resolv.conf(5)). Servers on the host's loopback are out of its
// reach, those with an IPv6 address too unless `ipv6`; without `internet` all are.
Resolver resolver_text(std::string_view host, bool internet, bool ipv6);
bool has_ipv6_server(std::string_view host);
// The host's real one: where /etc/resolv.conf names loopback only, the list of the servers behind that, as
// systemd-resolved and others keep it. Empty where there is none.
std::string read_host_resolver();
// The choice behind it: the first of `upstream` that names anybody, where `etc` names loopback only. The view is of one
// of them.
std::string_view choose_resolver(std::string_view etc, const std::vector<std::string>& upstream);

struct NameFile {
  const char* name;   // in the run directory of a container
  const char* target; // inside, absolute
};
inline constexpr NameFile name_files[] = {{"hosts", "/etc/hosts"}, {"resolv.conf", "/etc/resolv.conf"}};

// Makes both files, empty, where they are missing.
void make_name_files(const Root& root, const std::string& id);
void write_name_file(const Root& root, const std::string& id, const NameFile& file, std::string_view text);
// Does a volume of it lie where this file would?
bool is_covered(const Spec& spec, const NameFile& file);

// In a container that runs: puts them in place, or takes them away. What cannot be (a read-only root without such a
// file) is told, and is no failure.
void show_name_files(const Root& root, const Container& container);
void hide_name_files(const Root& root, const Container& container);

} // namespace conductor
