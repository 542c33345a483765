// A registry as this host sees it: the addresses to ask in their order (its mirrors, then itself), what to trust there,
// and what it has let us in with. Shared by the threads that fetch side by side.
#pragma once

#include "core/image/registry/credentials.h"
#include "core/image/registry/transport.h"
#include "core/store/config.h"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image::registry {

// "docker.io", "library/alpine", and a tag or a digest of it.
struct RemoteName {
  std::string registry, repository;
  std::string tag;          // "latest"; empty where there is a digest
  std::string digest;       // "sha256:..." or empty
  std::string text() const; // "docker.io/library/alpine:latest"
  std::string selector() const { return digest.empty() ? tag : digest; }
};
// What a normal reference (core/store/images.h) means out there. A name without a host belongs to the default registry,
// and at docker.io one without an owner to `library`. Throws a usage Error for id:HEX.
RemoteName remote_name(const std::string& reference, const Config& config);

// A word that names a registry and no image there ("127.0.0.1:5000", "localhost", "reg.lan:5000/") would be an image of
// the default registry: throws a usage Error whose hint has `image` behind it.
void check_has_image(std::string_view word, const std::string& image);

struct Options {
  bool plain_http = false;
  bool verify = true;  // certificates
  std::string ca_file; // further certificates to trust
  std::chrono::milliseconds stall{30'000};
};

// One address.
struct Endpoint {
  std::string name;           // as credentials are filed: "docker.io", "localhost:5000"
  Url base;                   // without a path; of the scheme that is spoken, once that is known
  bool scheme_known = true;   // false: on loopback, where plain HTTP is tried behind HTTPS
  bool plain_allowed = false; // the user or the configuration says so
  bool is_mirror = false;
  TransportOptions transport;

  // Guarded by `lock`: what was learned while asking.
  std::mutex lock;
  std::map<std::string, std::string> authorization; // scope -> value of the header Authorization
  std::optional<std::optional<Credentials>> credentials;
};

class Registry {
public:
  // name: as in RemoteName. Throws Error: an impossible name, a configured address that is none, certificates that
  // cannot be read.
  Registry(const Config& config, const std::string& name, const Options& options);

  const std::string& name() const { return name_; }
  const std::vector<std::unique_ptr<Endpoint>>& endpoints() const { return endpoints_; }
  Endpoint& own() const { return *endpoints_.back(); } // the registry itself: where is pushed

private:
  std::string name_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
};

} // namespace conductor::image::registry
