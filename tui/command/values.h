// Values of options: sizes, times, signals, K=V ... Each throws a usage Error that names the option and shows a right
// one.
#pragma once

#include "core/container/spec.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace conductor::command {

// "256M", "1g", "1.5G", "4096": bytes; units of 1024 with an optional B or iB behind them.
uint64_t parse_size(std::string_view text, std::string_view option);
// A whole number of at most `most`.
uint64_t parse_number(std::string_view text, std::string_view option, uint64_t most);
// "-500", "1000": a whole number that may be negative.
int parse_adjustment(std::string_view text, std::string_view option);
// "0.5", "2": more than 0.
double parse_fraction(std::string_view text, std::string_view option);
// "10", "1.5": seconds, in milliseconds; at most a year.
int64_t parse_seconds(std::string_view text, std::string_view option);
// "TERM", "SIGTERM", "15" as a number.
int parse_signal(std::string_view text, std::string_view option);
// "SIGTERM" of a number.
std::string signal_name(int number);
// "K=V"; the key must not be empty.
std::pair<std::string, std::string> parse_pair(std::string_view text, std::string_view option);
// A path of the host; a relative one is taken from the working directory.
std::string absolute_path(std::string_view text, std::string_view option);
// "SRC:DST[:ro|:rw]": a directory or file of this host; "NAME:DST[:ro|:rw]": a volume; "DST": one without a name. A
// source that begins with '.' is taken from the working directory.
Volume parse_volume(std::string_view text);
// "type=bind|volume|tmpfs,src=...,dst=...[,readonly]", as docker spells the same: added to volumes or tmpfs.
void parse_mount(std::string_view text, Spec& into);
// "/dev/vda:10M": a rate on a device; none for "/dev/vda:max". `sizes`: units are understood.
std::pair<std::string, std::optional<uint64_t>> parse_rate(std::string_view text, std::string_view option, bool sizes);
// Whether a limit is taken away: "max", "unlimited", "-1".
bool is_unlimited(std::string_view text);
// "nofile=1024:4096", "nofile=1024"; "unlimited" and -1 mean that.
Ulimit parse_ulimit(std::string_view text);
// "10m", "2h", "3d" before now, "2026-11-22T09:44:02Z" or seconds since 1970, in nanoseconds of CLOCK_REALTIME.
int64_t parse_since(std::string_view text, int64_t now_ns, std::string_view option = "--since");
// One of the words of "a|b|c".
std::string parse_choice(std::string_view text, std::string_view option, std::string_view choices);
// The lines of an --env-file: K=V; empty ones and those that begin with # are left out. A K alone is taken from our own
// environment, as K alone is after --env.
std::vector<std::string> read_env_file(const std::string& path);
// "K=V", or "K": with the value it has in our own environment; empty when it has none.
std::string parse_env(std::string_view text);

} // namespace conductor::command
