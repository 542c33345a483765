// Who we are to a registry: the files and helper programs that docker, podman and skopeo share
// (containers-auth.json(5)).
#pragma once

#include "core/base/trace.h"

#include <optional>
#include <string>
#include <string_view>

namespace conductor::image::registry {

struct Credentials {
  std::string user, password;
  std::string identity_token; // instead of both: exchanged for tokens (OAuth2 refresh token)
};

// What is known for a repository of a registry ("quay.io", "team/web"): the most specific entry of the first file that
// has one, else what its helper says. None: nobody knows anything, so we are anonymous. Throws Error: a file that is
// damaged, a helper that fails.
std::optional<Credentials> find_credentials(Trace& trace, const std::string& registry, const std::string& repository);

// The file that login writes: $REGISTRY_AUTH_FILE, else containers/auth.json in $XDG_RUNTIME_DIR, else in
// /run/containers/UID.
std::string login_file();
// Writes an entry, mode 0600, atomically; everything else in the file stays. Where the file names a helper for the
// registry, the helper keeps it. Returns where it is kept, for people. Throws Error.
std::string store_credentials(Trace& trace, const std::string& registry, const Credentials& credentials);
// Takes the entry out of every file that has one; false: there was none.
bool forget_credentials(Trace& trace, const std::string& registry);

// ---- parts, for tests

// The entry of a file's text; `file` is its name for messages.
struct Entry {
  std::optional<Credentials> credentials;
  std::string helper; // "pass": ask docker-credential-pass
};
Entry look_up(std::string_view text, const std::string& file, const std::string& registry,
              const std::string& repository);
std::string base64(std::string_view bytes);
// None for what is no base64.
std::optional<std::string> from_base64(std::string_view text);

} // namespace conductor::image::registry
