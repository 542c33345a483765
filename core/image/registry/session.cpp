#include "core/image/registry/session.h"

#include "core/base/await.h"
#include "core/base/guard.h"
#include "core/container/spec.h"
#include "core/image/registry/challenge.h"
#include "core/kernel/call.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>

namespace conductor::image::registry {
namespace {

using nlohmann::json;

constexpr int most_redirects = 5;
constexpr unsigned most_attempts = 4;
constexpr unsigned longest_wait_seconds = 60; // of what a server may ask for with Retry-After
constexpr size_t longest_token = 64 << 10;

bool is_redirect(int status)
{
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// A token goes into a header, so it holds what a header may hold (RFC 6750, 2.1).
bool is_token(std::string_view text)
{
  return !text.empty() && text.size() <= longest_token &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

void check_redirect(const Url& from, const Url& to)
{
  if (from.is_secure() && !to.is_secure())
    throw Error{from.host_and_port() + " leads from https to plain http (" + visible(to.text()) + "); that is refused"};
  if (to.is_loopback() && !from.is_loopback())
    throw Error{from.host_and_port() + " leads to this host's own loopback (" + visible(to.text()) +
                "); that is refused"};
}

// The sentences of an error document (OCI distribution specification, "Error Codes").
std::string said(const std::string& body)
{
  const json document = json::parse(body, nullptr, false);
  std::string text;
  if (!document.is_object()) return text;
  const auto add = [&](const json& entry, const char* key) {
    if (entry.is_object() && entry.contains(key) && entry[key].is_string())
      text += (text.empty() ? "" : ": ") + entry[key].get<std::string>();
  };
  const auto errors = document.find("errors");
  if (errors != document.end() && errors->is_array() && !errors->empty()) {
    add(errors->front(), "code");
    add(errors->front(), "message");
  } else {
    add(document, "details");
    add(document, "message");
  }
  return text.empty() ? text : visible(text, 300);
}

} // namespace

bool is_transient(int status)
{
  return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

Error refusal(const Endpoint& endpoint, const Response& response, const std::string& what)
{
  std::string sentence = what + ": " + endpoint.name;
  std::string hint;
  switch (response.status) {
  case 401:
    // Where a redirect has led may ask as much as it likes.
    if (response.url.origin() != endpoint.base.origin()) {
      sentence += " leads to " + response.url.host_and_port() + ", which wants to know who asks";
      break;
    }
    sentence += " wants to know who asks";
    hint = "conductor login " + endpoint.name;
    break;
  case 403:
    sentence += " refuses it";
    hint = "conductor login " + endpoint.name + ", as somebody who may";
    break;
  case 404: sentence += " does not have it"; break;
  case 429:
    sentence += " has been asked too often";
    hint = "wait a while, or conductor login " + endpoint.name;
    break;
  default: sentence += fmt::format(" answers {}", response.status);
  }
  const std::string detail = said(response.body);
  if (!detail.empty()) sentence += " (" + detail + ")";
  return Error{std::move(sentence), 0, std::move(hint)};
}

Session::Session(Trace& trace, Endpoint& endpoint, std::string repository, Rights rights, std::function<bool()> stop)
    : trace_(trace), endpoint_(endpoint), repository_(std::move(repository)), rights_(rights), stop_(std::move(stop)),
      transport_(endpoint.transport)
{}

Url Session::url(const std::string& path)
{
  learn_scheme();
  Url url = endpoint_.base;
  url.target = path;
  return url;
}

std::string Session::scope() const
{
  if (rights_ == Rights::none) return {};
  std::string text = "repository:" + repository_ + (rights_ == Rights::push ? ":pull,push" : ":pull");
  if (!also_.empty()) text += " repository:" + also_ + ":pull";
  return text;
}

void Session::also_pull(const std::string& repository) { also_ = repository; }

void Session::pause(unsigned attempt, const std::string& retry_after)
{
  unsigned milliseconds = std::min(250U << std::min(attempt, 5U), 4000U);
  const bool is_number = !retry_after.empty() && retry_after.size() < 6 &&
                         retry_after.find_first_not_of("0123456789") == std::string::npos;
  if (is_number)
    milliseconds = static_cast<unsigned>(std::min<unsigned long>(std::stoul(retry_after), longest_wait_seconds)) * 1000;
  const uint64_t end = monotonic_us() + uint64_t{milliseconds} * 1000;
  for (uint64_t now = monotonic_us(); now < end; now = monotonic_us()) {
    trace_.throw_if_interrupted();
    if (stop_ && stop_()) throw Error{"interrupted", EINTR};
    const int rest = static_cast<int>((end - now) / 1000 + 1);
    ::poll(nullptr, 0, std::min(rest, 100));
  }
}

// On loopback nobody listens in between, so a registry that speaks no TLS is spoken to without. One that has TLS with a
// certificate we do not trust is not.
void Session::learn_scheme()
{
  const std::lock_guard guard{endpoint_.lock};
  if (endpoint_.scheme_known) return;
  try {
    Url ping = endpoint_.base;
    ping.target = "/v2/";
    transport_.send(trace_, {.url = ping}, stop_);
  } catch (const TransferError& error) {
    if (error.kind() != TransferError::Kind::handshake) throw;
    endpoint_.base = parse_url("http://" + endpoint_.base.host + ":" +
                               std::to_string(endpoint_.base.port == 443 ? 80 : endpoint_.base.port));
  }
  endpoint_.scheme_known = true;
}

// One exchange as --explain tells it. Headers are left out: one of them may be a password.
Response Session::exchange(const Request& request)
{
  Response response;
  std::exception_ptr thrown;
  const kernel::CallResult result = kernel::perform(
      trace_, request.method,
      [&] {
        const std::string address = visible(request.url.text(), 400);
        return kernel::CallText{request.method + " " + address, request.method == "GET"
                                                                    ? "curl " + address
                                                                    : "curl -X " + request.method + " " + address};
      },
      [&]() -> long {
        try {
          response = transport_.send(trace_, request, stop_);
          return response.status;
        } catch (...) {
          thrown = std::current_exception();
          errno = ECONNABORTED;
          return -1;
        }
      });
  if (thrown) std::rethrow_exception(thrown);
  if (result.skipped) throw Error{"the request was skipped at the gate: " + request.url.text(), ECANCELED};
  return response;
}

Response Session::follow(Request request, const std::function<std::string(const Url&)>& authorization)
{
  for (int hops = 0;; ++hops) {
    Request asked = request;
    if (const std::string value = authorization(request.url); !value.empty())
      asked.headers.push_back("Authorization: " + value);
    Response response = exchange(asked);
    if (!is_redirect(response.status) || (request.method != "GET" && request.method != "HEAD")) return response;
    if (hops == most_redirects)
      throw Error{fmt::format("{} leads from place to place, more than {} times", endpoint_.name, most_redirects)};
    const Url next = resolve(request.url, response.header("location"));
    check_redirect(request.url, next);
    request.url = next;
  }
}

Response Session::send(Request request)
{
  const bool is_simple = !request.sink && !request.source;
  bool answered = false;
  const std::string scope = this->scope();
  const auto authorization = [&](const Url& where) -> std::string {
    if (where.origin() != endpoint_.base.origin() && holds(guard::own_password)) return {};
    const std::lock_guard locked{endpoint_.lock};
    const auto found = endpoint_.authorization.find(scope);
    return found == endpoint_.authorization.end() ? std::string{} : found->second;
  };
  for (unsigned attempt = 0;;) {
    const std::string used = authorization(endpoint_.base);
    std::string retry_after;
    try {
      Response response = follow(request, authorization);
      const bool own_challenge = response.status == 401 && response.url.origin() == endpoint_.base.origin();
      if (own_challenge && !answered && !request.source) {
        // Somebody else may have got a fresh one meanwhile.
        if (authorization(endpoint_.base) == used) answer(response);
        answered = true;
        continue;
      }
      if (!is_simple || !is_transient(response.status) || attempt + 1 >= most_attempts) return response;
      retry_after = response.header("retry-after");
    } catch (const TransferError& error) {
      if (!is_simple || !error.transient() || attempt + 1 >= most_attempts) throw;
    }
    pause(attempt++, retry_after);
  }
}

std::optional<Credentials> Session::credentials()
{
  {
    const std::lock_guard guard{endpoint_.lock};
    if (endpoint_.credentials) return *endpoint_.credentials;
  }
  auto found = find_credentials(trace_, endpoint_.name, repository_);
  const std::lock_guard guard{endpoint_.lock};
  endpoint_.credentials = found;
  return found;
}

void Session::answer(const Response& refused)
{
  const auto challenges = parse_challenges(refused.header("www-authenticate"));
  for (const Challenge& challenge : challenges)
    if (challenge.scheme == "bearer") return take_token(challenge.parameters);
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme != "basic") continue;
    const auto known = credentials();
    if (!known || known->user.empty())
      throw Error{endpoint_.name + " wants a user and a password", 0, "conductor login " + endpoint_.name};
    const std::string value = "Basic " + base64(known->user + ":" + known->password);
    const std::lock_guard guard{endpoint_.lock};
    std::string& place = endpoint_.authorization[scope()];
    if (place == value)
      throw Error{endpoint_.name + " does not accept the password of '" + visible(known->user) + "'", 0,
                  "conductor login " + endpoint_.name};
    place = value;
    return;
  }
  throw Error{endpoint_.name + " asks for a kind of authentication that is not known here", 0,
              "bearer tokens and basic authentication are known"};
}

// https://distribution.github.io/distribution/spec/auth/token/ and oauth/.
void Session::take_token(const std::map<std::string, std::string>& challenge)
{
  const auto parameter = [&](const char* name) {
    const auto found = challenge.find(name);
    return found == challenge.end() ? std::string{} : found->second;
  };
  const Url realm = parse_url(parameter("realm"));
  const bool private_line = realm.is_loopback() && endpoint_.base.is_loopback();
  if (!realm.is_secure() && !private_line && !endpoint_.plain_allowed)
    throw Error{endpoint_.name + " wants the password sent without encryption, to " + visible(realm.text())};

  const auto known = credentials();
  std::string query;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) query += (query.empty() ? "" : "&") + std::string{name} + "=" + percent_encoded(value);
  };
  add("service", parameter("service"));
  // The scope is what we need, never what we are told to ask for.
  const std::string wanted = scope();
  Request request{.url = realm, .most = longest_token + 4096};
  std::string basic;
  if (known && !known->identity_token.empty()) {
    add("scope", wanted);
    add("grant_type", "refresh_token");
    add("client_id", "conductor");
    add("refresh_token", known->identity_token);
    request.method = "POST";
    request.headers = {"Content-Type: application/x-www-form-urlencoded"};
    request.body = std::move(query);
  } else {
    for (size_t at = 0; at < wanted.size();) { // several scopes are several parameters
      const size_t end = std::min(wanted.find(' ', at), wanted.size());
      add("scope", wanted.substr(at, end - at));
      at = end + 1;
    }
    if (known && !known->user.empty()) {
      add("account", known->user);
      basic = "Basic " + base64(known->user + ":" + known->password);
    }
    if (!query.empty()) request.url.target += (realm.target.find('?') == std::string::npos ? "?" : "&") + query;
  }
  Response response;
  for (unsigned attempt = 0;; ++attempt) {
    response =
        follow(request, [&](const Url& where) { return where.origin() == realm.origin() ? basic : std::string{}; });
    if (!is_transient(response.status) || attempt + 1 >= most_attempts) break;
    pause(attempt, response.header("retry-after"));
  }
  if ((response.status == 401 || response.status == 403) && known)
    throw Error{endpoint_.name + " does not accept the password of '" + visible(known->user) + "'", 0,
                "conductor login " + endpoint_.name};
  if (!response.good()) throw refusal(endpoint_, response, "get a token from " + realm.host_and_port());
  const json document = json::parse(response.body, nullptr, false);
  std::string token;
  for (const char* key : {"token", "access_token"})
    if (token.empty() && document.is_object() && document.contains(key) && document[key].is_string())
      token = document[key].get<std::string>();
  if (!is_token(token)) throw Error{realm.host_and_port() + " gives a token that is none"};
  const std::lock_guard guard{endpoint_.lock};
  endpoint_.authorization[wanted] = "Bearer " + token;
}

void Session::log_in(const Credentials& credentials)
{
  {
    const std::lock_guard guard{endpoint_.lock};
    endpoint_.credentials = credentials;
  }
  const Response response = send({.url = url("/v2/")});
  if (response.status == 401)
    throw Error{endpoint_.name + " does not accept the password of '" + visible(credentials.user) + "'"};
  if (!response.good()) throw refusal(endpoint_, response, "log in");
}

} // namespace conductor::image::registry
