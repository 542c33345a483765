// The guards that hold what an image, an archive, a registry or a neighbour may try. Each stands in one place, under
// `if (holds(...))`, so that a test can take it out and see the attack succeed that it is there for.
//
// In the programs that are installed holds() is the constant true, and nothing of this is left in them. A second build
// of the files with guards (tests/CMakeLists.txt, conductor-unguarded) is for the tests alone: there the environment
// variable CONDUCTOR_WITHOUT takes guards out by name, several between commas. Only .cpp files may ask: a header would
// mean two things in one program.
#pragma once

#include <string_view>

namespace conductor {

struct Guard {
  std::string_view name;
};

namespace guard {

// Paths of a container.
inline constexpr Guard inside_root{"inside_root"};           // a path of an image means something below its root only
inline constexpr Guard plain_places{"plain_places"};         // /proc, /sys and /dev are directories, no links
inline constexpr Guard regular_files{"regular_files"};       // /etc/passwd is a regular file before it is opened
inline constexpr Guard bounded_files{"bounded_files"};       // and of a bounded size
inline constexpr Guard own_dev{"own_dev"};                   // /dev is ours, and what is masked gets its null
inline constexpr Guard inert_nodes{"inert_nodes"};           // device nodes of an image open nothing
inline constexpr Guard read_only_groups{"read_only_groups"}; // /sys/fs/cgroup cannot be written inside

// The process that becomes the command.
inline constexpr Guard plain_workdir{"plain_workdir"};         // no link of /proc on the way to the working directory
inline constexpr Guard reachable_workdir{"reachable_workdir"}; // and it lies inside
inline constexpr Guard hidden_entry{"hidden_entry"};           // who joins a container cannot be looked into from there
inline constexpr Guard protected_program{"protected_program"}; // our program lies on a read-only mount for root inside
inline constexpr Guard strict_numbers{"strict_numbers"};       // a user id is plain digits below 2^32 - 1
inline constexpr Guard numbers_first{"numbers_first"};         // and counts before a user of that name
inline constexpr Guard few_capabilities{"few_capabilities"};   // twelve capabilities, unless more are asked for
inline constexpr Guard no_inheritable{"no_inheritable"};       // inheritable capabilities are none
inline constexpr Guard call_filter{"call_filter"};             // the system-call filter
inline constexpr Guard clean_environment{"clean_environment"}; // nothing of the caller's environment goes inside
inline constexpr Guard own_network{"own_network"};             // a network namespace of its own

// Who copies files in and out.
inline constexpr Guard copies_inside{"copies_inside"}; // stands in the container, where names mean its files

// Archives.
inline constexpr Guard entry_names{"entry_names"};     // names that are absolute or climb are refused
inline constexpr Guard beneath_layer{"beneath_layer"}; // what is unpacked is looked up below its layer, through no link
inline constexpr Guard fresh_files{"fresh_files"};     // and is a new file, whatever was there before
inline constexpr Guard whole_files{"whole_files"};     // content is what is in the archive, nothing between
inline constexpr Guard own_attributes{"own_attributes"}; // attributes that steer overlayfs are set by the kernel alone
inline constexpr Guard known_sizes{"known_sizes"};       // no size below zero or beyond what a disk holds
inline constexpr Guard bomb_limit{"bomb_limit"};         // a layer grows to no more than its limit
inline constexpr Guard disk_reserve{"disk_reserve"};     // and leaves a part of the disk free

// Registries.
inline constexpr Guard checked_digests{"checked_digests"}; // what came is what its digest names
inline constexpr Guard checked_content{"checked_content"}; // and unpacks to what the configuration names
inline constexpr Guard plain_digests{"plain_digests"};     // a digest is an algorithm and hex digits
inline constexpr Guard own_password{"own_password"};       // a password goes to its own registry only

// What is shown and what is reached.
inline constexpr Guard shown_text{"shown_text"};               // what is printed steers no terminal
inline constexpr Guard visible_text{"visible_text"};           // control characters are shown as text
inline constexpr Guard no_advertisements{"no_advertisements"}; // the host takes no router advertisement of a container
inline constexpr Guard no_forged_packets{"no_forged_packets"}; // nor what pretends to come from elsewhere
inline constexpr Guard closed_loopback{"closed_loopback"};     // nor what is meant for 127.0.0.1

} // namespace guard

#ifdef CONDUCTOR_UNGUARDED
bool holds(const Guard& guard); // tests/support/guard_switch.cpp
#else
constexpr bool holds(const Guard&) { return true; }
#endif

} // namespace conductor
