// Lazy parts of an invocation, its output, and the way to the sibling programs.
#include "tui/command/invocation.h"

#include "core/base/error.h"
#include "core/kernel/own_program.h"
#include "tui/command/stream.h"
#include "tui/command/text.h"
#include "tui/command/values.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

namespace conductor::command {
namespace {

constexpr size_t flush_bytes = 64 << 10;

std::string directory_of(const Arguments& arguments, std::string_view option, const char* variable,
                         const char* otherwise)
{
  if (auto given = arguments.value(option)) return *given;
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

const char* file_name(Home home)
{
  switch (home) {
  case Home::conductor: return "conductor";
  case Home::images: return "conductor-images";
  case Home::console: return "conductor-console";
  }
  return "conductor";
}

} // namespace

const Config& Invocation::config()
{
  if (!config_) config_ = load_config(value("config").value_or(""));
  return *config_;
}

Root& Invocation::root()
{
  if (!root_) {
    std::string state = directory_of(arguments_, "root", "CONDUCTOR_ROOT", "/var/lib/conductor");
    std::string runtime = directory_of(arguments_, "run", "CONDUCTOR_RUN", "/run/conductor");
    if (!state.starts_with('/') || !runtime.starts_with('/'))
      throw usage_error("--root and --run need paths that begin with /");
    root_ = std::make_unique<Root>(trace_, std::move(state), std::move(runtime));
  }
  return *root_;
}

Context& Invocation::context()
{
  if (!context_) {
    network_ = program_.network(trace_);
    context_.emplace(Context{.root = root(), .trace = trace_, .network = *network_, .config = config()});
    context_->verb = arguments_.verb->name;
    context_->protect_program = [this] { protect_program(); };
    if (const auto patience = value("wait"))
      context_->patience = std::chrono::milliseconds{parse_seconds(*patience, "--wait")};
  }
  return *context_;
}

std::string Invocation::resolve(const std::string& name) { return Containers{root()}.resolve(name); }

void Invocation::print(std::string_view text)
{
  if (json() || value("events") == "1") return;
  write(text);
}

void Invocation::write(std::string_view text)
{
  out_ += text;
  if (out_.size() >= flush_bytes) flush();
}

void Invocation::flush()
{
  const std::string text = std::exchange(out_, {});
  if (text.empty() || write_all(STDOUT_FILENO, text)) return;
  // A reader that has seen enough (head) is no failure.
  if (errno != EPIPE) throw Error{"write to stdout", errno};
}

void Invocation::result(const std::string& json_text)
{
  if (json() && value("events") != "1") write(json_shown(json_text) + "\n");
  trace_.result(json_text);
}

// What was ours alone: the other program begins as we began.
void Invocation::hand_over()
{
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(number, SIG_DFL);
  for (const char* option : {"events", "gate"})
    if (const auto fd = value(option)) ::fcntl(std::atoi(fd->c_str()), F_SETFD, 0);
}

void Invocation::protect_program()
{
  if (kernel::program_is_protected()) return kernel::take_own_name();
  const Fd program = kernel::read_only_program(trace_);
  flush();
  if (step_ != nullptr) step_->done();
  std::vector<std::string> words;
  if ((has("events") || has("explain")) && !has("continued")) words.emplace_back("--continued");
  for (size_t i = 1; argv_[i] != nullptr; ++i) words.emplace_back(argv_[i]);
  hand_over();
  kernel::execute_again(program.get(), words);
}

void Invocation::become(Home home, const std::vector<std::string>& further)
{
  flush();
  if (step_ != nullptr) step_->done();
  const std::string own = kernel::own_program();
  const std::string directory = own.substr(0, own.rfind('/'));

  std::vector<std::string> words{file_name(home)};
  for (size_t i = 1; argv_[i] != nullptr; ++i) words.emplace_back(argv_[i]);
  // Options of ours must stand before the command.
  words.insert(words.begin() + 1, further.begin(), further.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  hand_over();
  // Beside us in the build tree; in libexec/conductor once installed.
  const std::string beside = directory + "/" + file_name(home);
  ::execv(beside.c_str(), argv.data());
  const std::string installed = directory + "/../libexec/conductor/" + file_name(home);
  ::execv(installed.c_str(), argv.data());
  const int error = errno;
  throw Error{"execute " + installed, error,
              error == ENOENT ? std::string{file_name(home)} + " belongs to the installation: ./bootstrap install"
                              : ""};
}

} // namespace conductor::command
