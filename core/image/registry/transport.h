// One HTTP exchange after the other, over libcurl. Follows no redirect and knows no password: what may go where is
// decided above (client.h), where it can be read on one page.
//
// The library is loaded when the first registry is asked, not when the program starts: it brings forty others along,
// and a build that needs no registry would pay 5 ms for them.
#pragma once

#include "core/base/error.h"
#include "core/base/trace.h"
#include "core/image/registry/url.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image::registry {

// An exchange that did not come to its end.
class TransferError : public Error {
public:
  enum class Kind : char {
    lasting,   // it would fail again
    transient, // the same may succeed when it is tried again
    handshake, // the other side may not speak TLS at all
  };
  TransferError(Error error, Kind kind) : Error(std::move(error)), kind_(kind) {}
  Kind kind() const { return kind_; }
  bool transient() const { return kind_ == Kind::transient; }

private:
  Kind kind_;
};

struct TransportOptions {
  std::string authorities;                      // certificates (PEM) to trust besides the host's own
  bool verify = true;                           // the certificate of the other side
  std::chrono::milliseconds stall{30'000};      // a connection on which nothing moves for so long is given up
  std::chrono::milliseconds documents{120'000}; // how long an exchange without a sink may take in all
  std::string client_certificate, client_key;   // PEM files; empty: none
  std::string client_origin;                    // who is shown them (Url::origin()); nobody else is
};

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers; // names in lower case; one that came twice is joined by ", "
  std::string body;                           // what did not go to the sink
  Url url;                                    // who has answered

  std::string header(const std::string& name) const;
  bool good() const { return status >= 200 && status < 300; }
};

struct Request {
  std::string method = "GET";
  Url url;
  std::vector<std::string> headers; // "Name: value"
  // What is sent: `body`, or what `source` gives (up to so many bytes into the buffer; 0: the end), `body_size` in all.
  std::string body;
  std::function<size_t(char* buffer, size_t room)> source;
  uint64_t body_size = 0;
  // Where the body of an answer with a status of 2xx goes; without one, into Response::body. `head` has status and
  // headers already. What it throws comes out of send().
  std::function<void(const Response& head, std::string_view bytes)> sink;
  size_t most = 1 << 20; // bytes of Response::body; more is an Error
};

class Transport {
public:
  // Throws Error: libcurl is not installed.
  explicit Transport(const TransportOptions& options);
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  ~Transport();

  // One exchange; connections are kept for the next one. Throws TransferError, and Error (EINTR) when `trace` is
  // interrupted or `stop` says so, at most 0.1 s later.
  Response send(const Trace& trace, const Request& request, const std::function<bool()>& stop = {});

  // Loads the library; to be called before there are threads. The constructor does it too.
  static void load();

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace conductor::image::registry
