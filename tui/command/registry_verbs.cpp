// pull, push, login, logout: what was typed becomes a request, and what came of it text and JSON.
#include "core/base/error.h"
#include "core/image/pull.h"
#include "tui/command/each.h"
#include "tui/command/making_images.h"
#include "tui/command/text.h"
#include "tui/command/values.h"

#include <cerrno>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <termios.h>
#include <unistd.h>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t longest_password = 64 << 10; // tokens are passwords too

image::registry::Options registry_options(const Invocation& invocation)
{
  image::registry::Options options;
  options.plain_http = invocation.has("plain-http");
  options.ca_file = invocation.value("tls-ca").value_or("");
  if (const auto text = invocation.value("tls-verify"))
    options.verify = parse_choice(*text, "--tls-verify", "true|false") == "true";
  if (const auto text = invocation.value("timeout")) {
    const int64_t milliseconds = parse_seconds(*text, "--timeout");
    if (milliseconds <= 0)
      throw usage_error("--timeout 0 leaves no time at all", "give a number of seconds: --timeout 30");
    options.stall = std::chrono::milliseconds{milliseconds};
  }
  return options;
}

// No echo while it lives; what the terminal was comes back in any case.
class Silence {
public:
  explicit Silence(int terminal) : terminal_(terminal)
  {
    if (::tcgetattr(terminal_, &before_) < 0) throw Error{"read the settings of the terminal", errno};
    termios quiet = before_;
    quiet.c_lflag &= static_cast<tcflag_t>(~ECHO);
    quiet.c_lflag |= ICANON | ECHONL;
    ::tcsetattr(terminal_, TCSAFLUSH, &quiet);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() { ::tcsetattr(terminal_, TCSAFLUSH, &before_); }

private:
  int terminal_;
  termios before_{};
};

// Up to the end of the line, or of the input. Throws Error (EINTR) when a signal comes: Ctrl-C leaves.
std::string read_line(const Trace& trace, bool whole)
{
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) {
      trace.throw_if_interrupted();
      continue;
    }
    if (got < 0) throw Error{"read stdin", errno};
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > longest_password) throw usage_error("the password has more than 64 KiB");
    if (got == 0 || (!whole && text.ends_with('\n'))) break;
  }
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

void prompt(const std::string& text)
{
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

} // namespace

int pull_images(Invocation& invocation)
{
  const image::registry::Options options = registry_options(invocation);
  const auto limit = invocation.value("limit");
  const uint64_t most = limit ? parse_size(*limit, "--limit") : 0;
  Json done = Json::array();
  const int status = for_each_name(invocation, [&](const std::string& reference) {
    const image::Pulled pulled =
        image::pull(invocation.context(), {.reference = reference, .options = options, .most_unpacked = most});
    if (invocation.has("quiet"))
      invocation.print(pulled.name + "\n");
    else if (!pulled.is_new)
      invocation.print(fmt::format("{}  {}  is up to date\n", pulled.name, pulled.image.id.substr(0, 12)));
    else
      invocation.print(fmt::format("{}  {}  {} of {} layers fetched, {}\n", pulled.name, pulled.image.id.substr(0, 12),
                                   pulled.fetched, pulled.image.layers.size(), short_size(pulled.fetched_bytes)));
    done.push_back({{"name", pulled.name},
                    {"id", pulled.image.id},
                    {"digest", pulled.digest},
                    {"new", pulled.is_new},
                    {"layers", pulled.image.layers},
                    {"fetched_layers", pulled.fetched},
                    {"fetched_bytes", pulled.fetched_bytes}});
  });
  invocation.result(done.dump());
  return status;
}

int push_image(Invocation& invocation)
{
  image::PushRequest request{.reference = invocation.names()[0], .options = registry_options(invocation)};
  if (invocation.names().size() > 1) request.destination = invocation.names()[1];
  const image::Pushed pushed = image::push(invocation.context(), request);
  invocation.print(fmt::format("{}@{}  {} sent ({}), {} there already, {} taken over\n", pushed.name, pushed.digest,
                               pushed.sent, short_size(pushed.sent_bytes), pushed.present, pushed.mounted));
  invocation.result(Json{
      {"name", pushed.name},
      {"digest", pushed.digest},
      {"sent", pushed.sent},
      {"sent_bytes", pushed.sent_bytes},
      {"present", pushed.present},
      {"mounted",
       pushed.mounted}}.dump());
  return 0;
}

int log_in(Invocation& invocation)
{
  image::Login login{.options = registry_options(invocation)};
  login.registry = image::registry_name(invocation.config(), invocation.names().empty() ? "" : invocation.names()[0]);
  login.user = invocation.value("username").value_or("");
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  if (invocation.has("password-stdin")) {
    if (login.user.empty()) throw usage_error("--password-stdin needs a user", "conductor login REGISTRY -u USER");
    login.password = read_line(invocation.trace(), true);
  } else {
    if (!terminal)
      throw usage_error("there is no terminal to ask for the password on", "--password-stdin reads it from stdin");
    if (login.user.empty()) {
      prompt("user at " + login.registry + ": ");
      login.user = read_line(invocation.trace(), false);
    }
    const Silence silence{STDIN_FILENO}; // before the prompt: who sees that may type, and pasting is quick
    prompt("password: ");
    login.password = read_line(invocation.trace(), false);
  }
  if (login.password.empty()) throw usage_error("the password is empty");
  const std::string kept = image::login(invocation.context(), login);
  invocation.print(fmt::format("logged in to {} as {}; kept by {}\n", login.registry, shown(login.user), kept));
  invocation.result(Json{{"registry", login.registry}, {"user", login.user}, {"kept", kept}}.dump());
  return 0;
}

int log_out(Invocation& invocation)
{
  const std::string registry =
      image::registry_name(invocation.config(), invocation.names().empty() ? "" : invocation.names()[0]);
  const bool was_known = image::logout(invocation.context(), registry);
  invocation.print(was_known ? "logged out of " + registry + "\n" : "nothing was kept for " + registry + "\n");
  invocation.result(Json{{"registry", registry}, {"was_known", was_known}}.dump());
  return 0;
}

} // namespace conductor::command
