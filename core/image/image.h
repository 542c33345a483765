// What makes images: a build, or a base that is made now because somebody asked for it. Only the images program
// contains this room, since it needs libcrypto.
#pragma once

#include "core/engine/images.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace conductor::image {

// What RUN --mount=type=secret may see: read when a step needs it, never kept.
struct Secret {
  std::string file;     // path on the host, or
  std::string variable; // of our environment
};
// "id=key,src=/home/me/key", "id=token,env=TOKEN", "id=TOKEN". Throws a usage Error.
std::pair<std::string, Secret> parse_secret(std::string_view text);
// A number of seconds. Throws a usage Error.
int64_t parse_epoch(std::string_view text);

constexpr const char* from_stdin = "-"; // as BuildRequest::file

struct BuildRequest {
  std::string name;    // of the image: "web", "web:2"
  std::string file;    // empty: ./Conductorfile, ./Dockerfile, else the default base; from_stdin: standard input
  std::string context; // directory that COPY reads; empty: the build file's, none for one from stdin
  std::map<std::string, std::string> build_args;
  std::string target; // stage to stop at; empty: the last
  bool no_cache = false;
  std::string network;                   // of RUN: "host" or "none"; empty: "host"
  std::map<std::string, Secret> secrets; // by id
  // SOURCE_DATE_EPOCH, seconds since 1970: no file of a layer is newer, and the image says it was made then.
  std::optional<int64_t> source_date_epoch;
};
// Builds, names and returns the image. Throws Error (a failing instruction: "FILE:LINE: RUN ...: exit status 2").
// Nothing of a failed build is kept but the steps that were done.
Image build(Context& context, const BuildRequest& request);

// Whether an image that is here is good enough, or the registry is asked again.
enum class Refresh : char { missing, always };

// The image that FROM would take: a local one, else a base (debian:bookworm, ubuntu:jammy, busybox), made now and
// stored under its name, else one of a registry (pull.h). Throws Error.
Image obtain(Context& context, const std::string& reference, Refresh refresh = Refresh::missing);

} // namespace conductor::image
