// What an image says about the containers made from it, and its text: the OCI image configuration (image-spec,
// config.md), with the fields that Docker added (Healthcheck, Shell, OnBuild).
//
// The sha256 of the text is the image's id. So an image that was made elsewhere keeps its text byte for byte, and one
// that we make gets a canonical text: keys sorted, nothing empty, no spaces.
#pragma once

#include "core/container/healthcheck.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

// One step that made the image; those that made a layer have empty_layer false, in the order of the layers.
struct HistoryEntry {
  std::string created; // RFC 3339, or empty
  std::string created_by, author, comment;
  bool empty_layer = false;
  bool operator==(const HistoryEntry&) const = default;
};

struct ImageConfig {
  std::vector<std::string> env; // K=V
  std::vector<std::string> cmd, entrypoint;
  std::string workdir;
  std::string user;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::set<std::string> exposed_ports; // "80/tcp"
  std::set<std::string> volumes;       // paths
  std::optional<Healthcheck> healthcheck;
  std::vector<std::string> shell;    // for the shell form of instructions; empty: /bin/sh -c
  std::vector<std::string> on_build; // instructions for builds on top of it
  // ---- about the image as a whole
  std::string architecture, os, variant; // "amd64", "linux", "v8"; empty architecture and os: this machine's
  std::string author;
  std::string created; // RFC 3339, or empty
  std::vector<HistoryEntry> history;
};

struct Configuration {
  ImageConfig config;
  std::vector<std::string> diff_ids; // 64 hex digits each, base first
};

// The canonical text. diff_ids: 64 hex digits each, base first.
std::string configuration_text(const ImageConfig& config, const std::vector<std::string>& diff_ids);
// Throws Error, also for what is well-formed and cannot be used: a wrong digest, a zero byte in a string, another
// operating system, hundreds of layers. Unknown fields are left alone.
Configuration parse_configuration(std::string_view text);

// At most so many bytes are taken as a configuration or a manifest (the distribution specification's advice).
inline constexpr size_t longest_configuration = 4 << 20;
inline constexpr size_t deepest_configuration = 100; // levels of lists and objects
// The kernel stacks 500 layers at most; nobody who means well comes near.
inline constexpr size_t most_layers = 400;

// Has a JSON text more levels than that? What parses it needs no stack for them, but what copies and writes it does.
bool nests_deeper(std::string_view json, size_t most);

// This machine, in the words of images: "amd64", "arm64"; variant "" or "v7".
std::string machine_architecture();
std::string machine_variant();

// "sha256:" and 64 lower-case hex digits -> the digits; none for everything else. Only so may a digest become part of a
// path.
std::optional<std::string> digest_hex(std::string_view digest);
bool is_digest_hex(std::string_view digits);

// Nanoseconds since 1970 of an RFC 3339 time; none when it is none.
std::optional<int64_t> parse_rfc3339(std::string_view text);

} // namespace conductor
