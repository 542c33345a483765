#include "core/image/download.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/digest.h"
#include "core/image/registry/transport.h"
#include "core/kernel/inroot.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

using registry::Response;
using registry::Url;

constexpr int most_redirects = 10;

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7); 0 for everything else.
time_t http_time(const std::string& text)
{
  tm parts{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S", &parts);
  if (end == nullptr) return 0;
  const time_t time = timegm(&parts);
  return std::max<time_t>(time, 0);
}

class Sink {
public:
  Sink(Trace& trace, int directory, const std::string& name)
      : fd_(kernel::create_in_root(trace, directory, name, O_RDWR | O_TRUNC, 0600)), name_(name)
  {}

  void write(std::string_view bytes)
  {
    digest_.bytes(bytes);
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw Error{"write the download", errno};
      bytes.remove_prefix(static_cast<size_t>(written));
    }
  }

  std::string digest() { return "sha256:" + digest_.hex(); }
  kernel::FileFacts facts() const { return kernel::facts_of(fd_.get(), name_); }

private:
  Fd fd_;
  std::string name_;
  Digest digest_;
};

Url redirect(const Download& download, const Url& from, const Response& answer)
{
  const Url next = registry::resolve(from, answer.header("location"));
  if (from.is_secure() && !next.is_secure() && download.checksum.empty())
    throw Error{fmt::format("'{}' leads from https to {}", visible(download.address), visible(next.text())), 0,
                "say what is expected: --checksum=sha256:..."};
  return next;
}

} // namespace

std::string name_of_download(std::string_view address)
{
  const size_t scheme = address.find("://");
  std::string_view path = address.substr(scheme == std::string_view::npos ? 0 : scheme + 3);
  path = path.substr(0, path.find_first_of("?#"));
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "." || name == ".." ? std::string{} : std::string{name};
}

void check_checksum(std::string_view checksum)
{
  constexpr std::string_view prefix = "sha256:";
  const std::string_view digits = checksum.substr(std::min(prefix.size(), checksum.size()));
  if (!checksum.starts_with(prefix) || digits.size() != 64 ||
      digits.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    throw Error{"--checksum '" + visible(checksum) + "' is no digest", 0, "--checksum=sha256: and 64 hex digits"};
}

void fetch(Trace& trace, int directory, Download& download)
{
  Step step{trace, "fetch " + visible(download.address, 200)};
  registry::Transport transport{{}};
  Url url = registry::parse_url(download.address);
  Sink sink{trace, directory, download.file};
  uint64_t got = 0;
  for (int hops = 0;; ++hops) {
    registry::Request request{.url = url, .headers = {"User-Agent: conductor"}};
    request.sink = [&](const Response& head, std::string_view bytes) {
      got += bytes.size();
      const std::string length = head.header("content-length");
      step.progress(got, length.empty() ? 0 : std::strtoull(length.c_str(), nullptr, 10), "bytes");
      sink.write(bytes);
    };
    const Response answer = transport.send(trace, request);
    if (answer.status >= 300 && answer.status < 400 && !answer.header("location").empty()) {
      if (hops == most_redirects) throw Error{fmt::format("'{}' leads in circles", visible(download.address))};
      url = redirect(download, url, answer);
      continue;
    }
    if (!answer.good())
      throw Error{fmt::format("fetch '{}': the server answers {}", visible(download.address, 200), answer.status)};
    download.facts = sink.facts();
    download.facts.modified = {.tv_sec = http_time(answer.header("last-modified"))};
    break;
  }
  download.digest = sink.digest();
  if (!download.checksum.empty() && download.digest != download.checksum)
    throw Error{
        fmt::format("'{}' is {}, and not what --checksum says", visible(download.address, 200), download.digest)};
  step.done();
}

} // namespace conductor::image
