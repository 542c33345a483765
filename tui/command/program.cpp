// The whole command line as one recipe: words, listeners, verb, exit status. The one place where errors are caught and
// told.
#include "tui/command/invocation.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/chroot.h"
#include "core/kernel/own_program.h"
#include "tui/command/explain.h"
#include "tui/command/help.h"
#include "tui/command/progress.h"
#include "tui/command/report.h"
#include "tui/command/runs.h"
#include "tui/command/stream.h"
#include "tui/command/values.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::command {
namespace {

volatile bool interrupted = false;
volatile std::sig_atomic_t interrupting_signal = 0;

void interrupt(int signal)
{
  interrupting_signal = signal;
  interrupted = true;
}

void ignore(int) {}

// Handlers, not SIG_IGN: execve(2) takes them away by itself, so no program of a container inherits them. Without
// SA_RESTART, so that a wait ends with EINTR. What our caller ignores (nohup) stays ignored.
void take_signals()
{
  struct sigaction action {};
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    action.sa_handler = number == SIGPIPE ? ignore : interrupt;
    ::sigaction(number, &action, nullptr);
  }
}

// A descriptor that was given by number; marked close-on-exec, since no program that we start may have it.
int descriptor(const std::string& text, const char* option)
{
  const int fd = static_cast<int>(parse_number(text, option, 1 << 20));
  if (::fcntl(fd, F_GETFD) < 0) throw usage_error(std::string{option} + ": no file is open on descriptor " + text);
  if (fd > STDERR_FILENO) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

bool wants_colour(const Arguments& arguments, int fd)
{
  const char* no_color = std::getenv("NO_COLOR"); // https://no-color.org: set and not empty
  const char* term = std::getenv("TERM");
  if (arguments.has("no-color") || (no_color != nullptr && *no_color != '\0')) return false;
  return ::isatty(fd) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

// Everybody who listens to this operation, as the global options ask for it.
class Listeners {
public:
  Listeners(const Arguments& arguments, Trace& trace)
  {
    const bool begun = arguments.has("continued");
    if (const auto fd = arguments.value("events")) add(trace, events_.emplace(descriptor(*fd, "--events"), begun));
    if (const auto form = arguments.value("explain")) {
      if (form->empty())
        add(trace, explain_.emplace(STDERR_FILENO, wants_colour(arguments, STDERR_FILENO)));
      else if (*form == "json")
        add(trace, explain_json_.emplace(STDERR_FILENO, begun));
      else
        throw usage_error("--explain=" + visible(*form) + " is not understood", "--explain or --explain=json");
    } else if (arguments.verb->shows_progress && !arguments.has("json")) {
      const bool terminal = ::isatty(STDERR_FILENO) == 1;
      add(trace, progress_.emplace(STDERR_FILENO, terminal, wants_colour(arguments, STDERR_FILENO)));
    } else if (!arguments.has("json")) {
      add(trace, notices_.emplace(STDERR_FILENO));
    }
    if (const auto text = arguments.value("gate")) {
      const int fd = descriptor(*text, "--gate");
      const bool writable = (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
      trace.set_gate(&gate_.emplace(fd, writable && !events_));
    }
  }

private:
  static void add(Trace& trace, Listener& listener) { trace.add(listener); }

  std::optional<StreamListener> events_, explain_json_;
  std::optional<ExplainListener> explain_;
  std::optional<ProgressListener> progress_;
  std::optional<NoticeListener> notices_;
  std::optional<GateFd> gate_;
};

// "conductor run debian web": what the operation is called in the stream.
std::string typed(const Arguments& arguments)
{
  std::string text = "conductor " + std::string{arguments.verb->name};
  for (const std::string& name : arguments.names) text += " " + quoted(name);
  return text;
}

// The overview where no verb was given: asked for, or shown because nothing else can be done.
int run_without_verb(const Program& program, const Arguments& arguments, char* const* argv)
{
  if (arguments.version) {
    write_all(STDOUT_FILENO, "conductor " CONDUCTOR_VERSION "\n");
    return 0;
  }
  if (arguments.help) {
    write_all(STDOUT_FILENO, help_overview());
    return 0;
  }
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1) {
    write_all(STDERR_FILENO, help_overview());
    return 2;
  }
  Trace trace;
  Invocation{program, arguments, argv, trace}.become(Home::console);
}

int run_verb(const Program& program, const Arguments& arguments, char* const* argv)
{
  const Verb& verb = *arguments.verb;
  if (arguments.help) {
    write_all(STDOUT_FILENO, help_for(verb));
    return 0;
  }
  if (verb.needs_root && ::geteuid() != 0) {
    throw Error::relayed("conductor " + std::string{verb.name} + " needs root: namespaces, mounts and control groups " +
                             "are made by the kernel for root only",
                         EPERM, "sudo conductor " + std::string{verb.name} + " ...", no_root_status);
  }
  Trace trace;
  Invocation invocation{program, arguments, argv, trace};
  if (verb.home != program.home && verb.home != Home::conductor) invocation.become(verb.home);

  take_signals();
  trace.set_interrupt(&interrupted);
  const Listeners listeners{arguments, trace};
  // Ids of steps go on above those of the program that we took the place of.
  if (arguments.has("continued")) trace.reserve_ids();
  Step step{trace, typed(arguments), verb.help};
  invocation.set_step(step);
  const int status = verb.run(invocation);
  step.done();
  invocation.flush();
  return status;
}

// In a chroot no container can start, so we move to a mount namespace of our own and begin again there: what is open,
// our own program for one, would stay behind otherwise.
void begin_outside_of_chroot(char* const* argv)
{
  if (::geteuid() != 0 || !kernel::in_chroot() || ::access("/proc/self/exe", F_OK) < 0) return;
  const std::string path = kernel::own_program();
  Trace trace;
  kernel::leave_chroot(trace);
  ::execv(path.c_str(), argv);
  throw Error{fmt::format("execute {} again", path), errno};
}

} // namespace

int run_program(const Program& program, int argc, char* const* argv)
{
  Arguments arguments;
  const std::span<const char* const> words{argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0)};
  try {
    parse(words, arguments);
    begin_outside_of_chroot(argv);
    return arguments.verb == nullptr ? run_without_verb(program, arguments, argv) : run_verb(program, arguments, argv);
  } catch (const Error& error) {
    if (interrupted && error.number() == EINTR) {
      return report(
          Error::relayed("interrupted by " + signal_name(static_cast<int>(interrupting_signal)), EINTR, "", 1), words,
          arguments);
    }
    return report(error, words, arguments);
  } catch (const std::bad_alloc&) {
    return report(Error{"not enough memory", ENOMEM}, words, arguments);
  } catch (const std::exception& error) {
    return report(Error{std::string{"this should not have happened: "} + error.what()}, words, arguments);
  }
}

} // namespace conductor::command
