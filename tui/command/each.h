// Verbs that take several names do what they can: each failure is told, the others go on, the status is 1.
#pragma once

#include "core/base/error.h"
#include "tui/command/invocation.h"
#include "tui/command/report.h"
#include "tui/command/stream.h"

#include <string>

#include <unistd.h>

namespace conductor::command {

// act: (const std::string& name) -> void. With one name the error goes up as it is. Returns the exit status.
template <class Act>
int for_each_name(Invocation& invocation, Act&& act)
{
  const auto& names = invocation.names();
  int status = 0;
  for (const std::string& name : names) {
    try {
      act(name);
    } catch (const Error& error) {
      if (names.size() == 1 || invocation.trace().interrupted()) throw;
      write_all(STDERR_FILENO, error_text(error, invocation.arguments(), invocation.json()));
      status = exit_status(error, invocation.arguments());
    }
  }
  return status;
}

// Of several containers to start, the first may run already when a later one would have the verb begin again
// (Invocation::protect_program()), so that is found out beforehand.
void protect_program_for_several(Invocation& invocation);

} // namespace conductor::command
