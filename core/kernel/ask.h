// Asking a helper program of the host one question: what it reads on stdin, what it answers on stdout.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::kernel {

struct Question {
  std::vector<std::string> argv; // argv[0] is looked up in PATH
  std::string input;             // for its stdin; told to nobody
  std::string by_hand;           // what a person would type; empty: the argv as it is
  size_t most = 64 << 10;        // bytes of the answer
  std::chrono::milliseconds patience{30'000};
};
struct Answer {
  ExitStatus status;
  std::string text; // its stdout; told to nobody
};
// Runs it with our environment, its stderr ours. The whole run is one call of the waist. Throws Error: it cannot be
// started, it answers more, it takes longer (it and its process group are killed then).
Answer ask_program(Trace& trace, const Question& question);

} // namespace conductor::kernel
