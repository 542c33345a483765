// Talking to one address of a registry about one repository: who we are, where redirects lead, when to try again.
//
// What may go where is decided here and nowhere else:
//   - the header Authorization goes to the origin (scheme, host, port) of the endpoint and to no other, whatever a
//     redirect says; a challenge is answered only when it came from there (CVE-2020-15157);
//   - a password goes to the realm that the endpoint names, over https; over http only where the endpoint itself is
//     spoken to so and realm and endpoint are on loopback, or where the user allowed plain HTTP;
//   - a redirect never leads from https to http, and never from another host to this one's loopback.
#pragma once

#include "core/image/registry/registry.h"

#include <functional>
#include <string>

namespace conductor::image::registry {

enum class Rights : char { pull, push, none };

class Session {
public:
  // repository: "" for the registry as such. stop: asked while waiting, besides the trace.
  Session(Trace& trace, Endpoint& endpoint, std::string repository, Rights rights, std::function<bool()> stop = {});

  // path: "/v2/...". The address of it here, by the scheme that is spoken.
  Url url(const std::string& path);
  // One exchange: authorization is added, redirects of GET and HEAD are followed, and what is transient is tried again
  // (bounded, with back-off), unless the request has a sink or a source: then that is the caller's. Every status but
  // 401 and redirects comes back. Throws Error: refused, unreachable, interrupted.
  Response send(Request request);
  // Waits before the next attempt (0: the first) as long as back-off or `retry_after` (seconds, as a server sends it)
  // say.
  void pause(unsigned attempt, const std::string& retry_after = {});

  // May a repository be read too, for a mount? Asks for a token that covers both from now on.
  void also_pull(const std::string& repository);
  // Does GET /v2/ let us in with these? Throws Error when not.
  void log_in(const Credentials& credentials);

  Endpoint& endpoint() const { return endpoint_; }
  Trace& trace() const { return trace_; }

private:
  void learn_scheme();
  std::string scope() const;
  Response exchange(const Request& request);
  Response follow(Request request, const std::function<std::string(const Url&)>& authorization);
  void answer(const Response& refused);
  void take_token(const std::map<std::string, std::string>& challenge);
  std::optional<Credentials> credentials();

  Trace& trace_;
  Endpoint& endpoint_;
  std::string repository_;
  Rights rights_;
  std::function<bool()> stop_;
  std::string also_;
  Transport transport_;
};

// Is it worth another attempt? 429 and the 5xx that pass.
bool is_transient(int status);
// What an answer that is no success says, as an Error: `what` is what was asked for ("pull web:latest").
Error refusal(const Endpoint& endpoint, const Response& response, const std::string& what);

} // namespace conductor::image::registry
