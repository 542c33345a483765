// Images from registries and back: pull, push, login, logout.
#pragma once

#include "core/engine/engine.h"
#include "core/image/registry/registry.h"

#include <cstdint>
#include <string>
#include <vector>

namespace conductor::image {

struct PullRequest {
  std::string reference; // as typed; a name without a host belongs to the configured default registry
  registry::Options options;
  uint64_t most_unpacked = 0; // bytes that one layer may unpack to; 0: bomb_limit() of its packed size
};
struct Pulled {
  Image image;
  std::string name;    // the reference it has here
  std::string digest;  // "sha256:..." of its manifest
  bool is_new = false; // the name did not mean this image before
  size_t fetched = 0;  // layers; the others were here
  uint64_t fetched_bytes = 0;
};
// Gets an image and gives it the name that was asked for. Layers that are here are not fetched. Throws Error; then
// nothing of the image is left.
Pulled pull(Context& context, const PullRequest& request);

// For FROM, run and create: an image that is neither here nor a base that is made here. Throws Error that says all
// three, with the nearest name of what is here or can be made as the hint.
Image pull_missing(Context& context, const std::string& reference);

struct PushRequest {
  std::string reference;   // of the image here
  std::string destination; // where to; empty: the same name
  registry::Options options;
};
struct Pushed {
  std::string name;                          // "registry.example/team/web:2"
  std::string digest;                        // of its manifest
  size_t sent = 0, mounted = 0, present = 0; // blobs
  uint64_t sent_bytes = 0;
};
Pushed push(Context& context, const PushRequest& request);

// Are these accepted? If so they are kept for later; returns where. registry empty: the configured default.
struct Login {
  std::string registry, user, password;
  registry::Options options;
};
std::string login(Context& context, const Login& login);
// False: nothing was kept.
bool logout(Context& context, const std::string& registry);
// The registry that an empty name means, and a name as credentials are filed.
std::string registry_name(const Config& config, const std::string& registry);

} // namespace conductor::image
