#include "core/image/registry/credentials.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/ask.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace conductor::image::registry {
namespace {

using nlohmann::json;

constexpr size_t longest_file = 1 << 20;
// What docker has always called its own registry in these files.
constexpr const char* docker_key = "https://index.docker.io/v1/";

std::string environment(const char* name)
{
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string runtime_file()
{
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  return (runtime.empty() ? "/run/containers/" + std::to_string(::geteuid()) : runtime + "/containers") + "/auth.json";
}

// In the order in which they are asked.
std::vector<std::string> files()
{
  if (const std::string named = environment("REGISTRY_AUTH_FILE"); !named.empty()) return {named};
  std::vector<std::string> found{runtime_file()};
  const std::string home = environment("HOME"), configuration = environment("XDG_CONFIG_HOME");
  if (!configuration.empty())
    found.push_back(configuration + "/containers/auth.json");
  else if (!home.empty())
    found.push_back(home + "/.config/containers/auth.json");
  const std::string docker = environment("DOCKER_CONFIG");
  if (!docker.empty())
    found.push_back(docker + "/config.json");
  else if (!home.empty())
    found.push_back(home + "/.docker/config.json");
  return found;
}

// Not O_NOFOLLOW: people link these files from where their passwords lie.
std::optional<std::string> read_file(const std::string& file)
{
  const Fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!fd) throw Error{"read the credentials in " + file, errno};
  return kernel::read_all(fd.get(), "the credentials in " + file, longest_file);
}

json parse(std::string_view text, const std::string& file)
{
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::object();
  json document = json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object())
    throw Error{"read the credentials in " + file + ": it is no JSON object", 0,
                "repair it, or remove it and log in again"};
  return document;
}

// "https://quay.io/v1/" -> "quay.io", as old files have it.
std::string host_of_key(std::string_view key)
{
  for (const std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  return std::string{key.substr(0, key.find('/'))};
}

bool is_docker(const std::string& registry)
{
  return registry == "docker.io" || registry == "index.docker.io" || registry == "registry-1.docker.io";
}

// The keys under which a repository may be found, the most specific first.
std::vector<std::string> keys_of(const std::string& registry, const std::string& repository)
{
  std::vector<std::string> keys;
  if (!repository.empty())
    for (std::string path = registry + "/" + repository; path != registry; path = path.substr(0, path.rfind('/')))
      keys.push_back(path);
  keys.push_back(registry);
  if (is_docker(registry))
    for (const char* other : {docker_key, "index.docker.io", "docker.io"}) keys.emplace_back(other);
  return keys;
}

std::string helper_key(const std::string& registry) { return is_docker(registry) ? docker_key : registry; }

Credentials credentials_of(const json& entry, const std::string& file, const std::string& key)
{
  const auto text = [&](const char* name) {
    const auto found = entry.find(name);
    return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  Credentials found{.user = text("username"), .password = text("password"), .identity_token = text("identitytoken")};
  const std::string packed = text("auth");
  if (packed.empty()) return found;
  const auto plain = from_base64(packed);
  const size_t colon = plain ? plain->find(':') : std::string::npos;
  if (colon == std::string::npos)
    throw Error{"read the credentials in " + file + ": the entry '" + visible(key) + "' is damaged", 0,
                "conductor login " + host_of_key(key) + " writes it anew"};
  found.user = plain->substr(0, colon);
  found.password = plain->substr(colon + 1);
  while (found.password.ends_with('\0')) found.password.pop_back(); // some writers have padded it
  return found;
}

bool is_empty(const Credentials& found)
{
  return found.user.empty() && found.password.empty() && found.identity_token.empty();
}

// A name becomes part of a program's name, so it may hold nothing that leads elsewhere.
void check_helper(const std::string& name, const std::string& file)
{
  const bool good = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (!good) throw Error{"read the credentials in " + file + ": '" + visible(name) + "' is no name of a helper"};
}

std::string helper_in(const json& document, const std::string& registry)
{
  const auto helpers = document.find("credHelpers");
  if (helpers != document.end() && helpers->is_object())
    for (const std::string& key : keys_of(registry, ""))
      if (helpers->contains(key) && (*helpers)[key].is_string()) return (*helpers)[key].get<std::string>();
  const auto store = document.find("credsStore");
  return store != document.end() && store->is_string() ? store->get<std::string>() : std::string{};
}

// https://github.com/docker/docker-credential-helpers: the address on stdin, JSON on stdout.
std::optional<Credentials> ask_helper(Trace& trace, const std::string& helper, const std::string& registry)
{
  const std::string program = "docker-credential-" + helper;
  const kernel::Answer answer =
      kernel::ask_program(trace, {.argv = {program, "get"}, .input = helper_key(registry) + "\n"});
  if (answer.status.shell() != 0) {
    if (answer.text.find("credentials not found") != std::string::npos) return std::nullopt;
    throw Error{program + " get " + registry + ": exit status " + std::to_string(answer.status.shell()) + " (" +
                visible(answer.text, 200) + ")"};
  }
  const json document = json::parse(answer.text, nullptr, false);
  const auto text = [&](const char* key) {
    return document.is_object() && document.contains(key) && document[key].is_string()
               ? document[key].get<std::string>()
               : std::string{};
  };
  Credentials found{.user = text("Username"), .password = text("Secret")};
  if (found.user == "<token>") found = {.identity_token = found.password};
  if (is_empty(found)) throw Error{program + " get " + registry + ": the answer cannot be understood"};
  return found;
}

void write_document(Trace& trace, const std::string& file, const json& document)
{
  const size_t slash = file.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : file.substr(0, slash);
  if (directory != "." && directory != "/") kernel::make_directories(trace, AT_FDCWD, directory, 0700);
  kernel::write_file(trace, AT_FDCWD, file, document.dump(2, ' ', false, json::error_handler_t::replace) + "\n", 0600);
}

void tell_helper(Trace& trace, const std::string& helper, const char* verb, const std::string& input)
{
  const std::string program = "docker-credential-" + helper;
  const kernel::Answer answer = kernel::ask_program(trace, {.argv = {program, verb}, .input = input});
  if (answer.status.shell() == 0) return;
  throw Error{program + " " + verb + ": exit status " + std::to_string(answer.status.shell()) + " (" +
              visible(answer.text, 200) + ")"};
}

} // namespace

std::string base64(std::string_view bytes)
{
  constexpr const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    for (size_t i = 0; i < 3; ++i) group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (size_t i = 0; i < 4; ++i) out += i <= count ? letters[group >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text)
{
  const auto value = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int six = value(c);
    if (six < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(six)) & 0xffffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 255);
  }
  return out;
}

Entry look_up(std::string_view text, const std::string& file, const std::string& registry,
              const std::string& repository)
{
  const json document = parse(text, file);
  Entry entry;
  const std::vector<std::string> keys = keys_of(registry, repository);
  const auto auths = document.find("auths");
  if (auths != document.end() && auths->is_object()) {
    const auto take = [&](const std::string& key, const json& value) {
      if (entry.credentials || !value.is_object()) return;
      const Credentials found = credentials_of(value, file, key);
      if (!is_empty(found)) entry.credentials = found;
    };
    for (const std::string& key : keys)
      if (const auto found = auths->find(key); found != auths->end()) take(key, *found);
    for (const auto& [key, value] : auths->items())
      if (key.find("://") != std::string::npos && host_of_key(key) == registry) take(key, value);
  }
  if (entry.credentials) return entry;
  entry.helper = helper_in(document, registry);
  if (!entry.helper.empty()) check_helper(entry.helper, file);
  return entry;
}

std::optional<Credentials> find_credentials(Trace& trace, const std::string& registry, const std::string& repository)
{
  for (const std::string& file : files()) {
    const auto text = read_file(file);
    if (!text) continue;
    const Entry entry = look_up(*text, file, registry, repository);
    if (entry.credentials) return entry.credentials;
    if (entry.helper.empty()) continue;
    if (auto found = ask_helper(trace, entry.helper, registry)) return found;
  }
  return std::nullopt;
}

std::string login_file()
{
  const std::string named = environment("REGISTRY_AUTH_FILE");
  return named.empty() ? runtime_file() : named;
}

std::string store_credentials(Trace& trace, const std::string& registry, const Credentials& credentials)
{
  const std::string file = login_file();
  json document = parse(read_file(file).value_or(""), file);
  if (const std::string helper = helper_in(document, registry); !helper.empty()) {
    check_helper(helper, file);
    const json input{
        {"ServerURL", helper_key(registry)}, {"Username", credentials.user}, {"Secret", credentials.password}};
    tell_helper(trace, helper, "store", input.dump() + "\n");
    return "docker-credential-" + helper;
  }
  if (!document.contains("auths") || !document["auths"].is_object()) document["auths"] = json::object();
  document["auths"][registry] = {{"auth", base64(credentials.user + ":" + credentials.password)}};
  write_document(trace, file, document);
  return file;
}

bool forget_credentials(Trace& trace, const std::string& registry)
{
  bool found = false;
  for (const std::string& file : files()) {
    const auto text = read_file(file);
    if (!text) continue;
    json document = parse(*text, file);
    if (const std::string helper = helper_in(document, registry); !helper.empty()) {
      check_helper(helper, file);
      if (ask_helper(trace, helper, registry)) {
        tell_helper(trace, helper, "erase", helper_key(registry) + "\n");
        found = true;
      }
    }
    if (!document.contains("auths") || !document["auths"].is_object()) continue;
    size_t gone = 0;
    for (const std::string& key : keys_of(registry, "")) gone += document["auths"].erase(key);
    if (gone == 0) continue;
    write_document(trace, file, document);
    found = true;
  }
  return found;
}

} // namespace conductor::image::registry
