// `conductor attach`: our terminal joined to a running container, by its keeper, or to a session, by its holder.
#pragma once

#include "core/base/handle.h"

#include <string>

namespace conductor {

inline constexpr const char* detach_keys_text = "Ctrl-P Ctrl-Q";

enum class AttachEnd : char {
  exited,   // the container or the shell ended
  detached, // by the detach keys, or because our stdin ended where it is no terminal
  taken     // another client took the session
};

struct AttachResult {
  AttachEnd end = AttachEnd::detached;
  ExitStatus status; // with exited
};

// Joins our stdin, stdout, stderr to the container whose keeper listens in run_directory (run/c/<id>). input: send our
// stdin. Returns when it ended or the user detached. Throws Error: ENOENT, ECONNREFUSED where nobody listens.
AttachResult attach_to_container(int run_directory, bool input);

// Our terminal to a session. On detaching no screen is handed over; the next client makes the programs redraw.
AttachResult attach_to_session(int run_directory, const std::string& session, bool take);

// Finds Ctrl-P Ctrl-Q in what is typed. Keys that could begin it are held back until the next one.
class DetachKeys {
public:
  // bytes: typed; out: what goes on to the container (appended; at most one byte more than came). True: pressed, the
  // rest is dropped.
  bool feed(const char* bytes, size_t size, char* out, size_t& out_size);

private:
  bool half_ = false;
};

} // namespace conductor
