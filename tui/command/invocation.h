// One call of one verb: what was typed, and what the verb works with, each made when it is first needed.
#pragma once

#include "core/base/trace.h"
#include "core/engine/engine.h"
#include "core/network.h"
#include "core/store/config.h"
#include "core/store/root.h"
#include "tui/command/arguments.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace conductor::command {

class Invocation;

// What the program around the command line brings: its name, its network, and what only some programs hold.
struct Program {
  Home home = Home::conductor;
  std::unique_ptr<Network> (*network)(Trace&) = nullptr;
  // Null outside of the images program, each of them.
  int (*build)(Invocation&) = nullptr;
  int (*exchange)(Invocation&) = nullptr; // save, load, export, import, commit, cp
  int (*pull)(Invocation&) = nullptr;
  int (*push)(Invocation&) = nullptr;
  int (*login)(Invocation&) = nullptr;
  int (*logout)(Invocation&) = nullptr;
  // Gets an image: one that is not there, or with `refresh` any that a registry may have anew.
  void (*obtain)(Invocation&, const std::string& reference, bool refresh) = nullptr;
};

class Invocation {
public:
  Invocation(const Program& program, const Arguments& arguments, char* const* argv, Trace& trace)
      : program_(program), arguments_(arguments), argv_(argv), trace_(trace)
  {}

  const Program& program() const { return program_; }
  const Arguments& arguments() const { return arguments_; }
  const std::vector<std::string>& names() const { return arguments_.names; }
  bool has(std::string_view option) const { return arguments_.has(option); }
  std::optional<std::string> value(std::string_view option) const { return arguments_.value(option); }
  bool json() const { return arguments_.has("json"); }
  Trace& trace() { return trace_; }

  // Throw Error: a wrong configuration, directories that cannot be made, a newer format.
  const Config& config();
  Root& root();
  Context& context();
  // NAME or id:HEX -> id. Throws Error: a usage one for what can be no name.
  std::string resolve(const std::string& name);

  // Text for people, gathered and written at the end or when there is much of it. Nothing is printed with --json, and
  // nothing where the event stream is on stdout. Throws Error when it cannot be written.
  void print(std::string_view text);
  // The step that the whole verb is, ended before another program goes on in this one's place.
  void set_step(Step& step) { step_ = &step; }
  // The document of --json, and the result of the event stream.
  void result(const std::string& json);
  // For text that is asked for as it is (logs): written at once, whatever the options.
  void write(std::string_view text);
  void flush();

  // Puts another program of ours in this one's place with the same words (and further ones behind them). The event
  // stream goes on. Throws Error when it is not installed.
  [[noreturn]] void become(Home home, const std::vector<std::string>& further = {});

  // Begins the verb again with its program protected from a container whose root is root of the host, where that is
  // not so already. Before anything is done, since all of it is done again. Throws Error.
  void protect_program();

private:
  void hand_over();

  const Program& program_;
  const Arguments& arguments_;
  char* const* argv_;
  Trace& trace_;
  Step* step_ = nullptr;
  std::optional<Config> config_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Root> root_;
  std::optional<Context> context_;
  std::string out_;
};

// The whole command line: returns the exit status of the program.
int run_program(const Program& program, int argc, char* const* argv);

} // namespace conductor::command
