// The event stream on a file descriptor (--events, --explain=json), and the gate that reads decisions from one
// (--gate).
#pragma once

#include "core/base/trace.h"

#include <string>
#include <string_view>

namespace conductor::command {

// Writes the whole text, over interrupts and short writes. False: nobody reads any more, or an error (errno is set).
bool write_all(int fd, std::string_view text);

// Each event as one JSON line, one write(2). The first line is the hello, unless the stream has begun already. When the
// reader goes away the operation goes on: a console that dies cuts nothing in half.
class StreamListener : public Listener {
public:
  StreamListener(int fd, bool begun);
  void on(const Event& event) override;

private:
  int fd_;
  bool gone_ = false;
};

// Asks before each call and reads one line: go, skip, abort or fail ERRNO (the call is not made and has failed so), as
// {"decision":"go"}, "go" or go. The end of the input means abort, and so does a line that is none of these.
class GateFd : public Gate {
public:
  // asks: write the event to the descriptor too, since there is no other stream that tells it.
  GateFd(int fd, bool asks) : fd_(fd), asks_(asks) {}
  Decision before(const Event& call) override;

private:
  bool read_line(std::string& line);
  int fd_;
  bool asks_;
  std::string buffer_;
};

// "go", "skip", "abort" in one of the spellings above; throws a usage Error for anything else.
Decision parse_decision(std::string_view line);

} // namespace conductor::command
