#include "core/image/registry/repository.h"

#include "core/base/guard.h"
#include "core/container/spec.h"
#include "core/image/digest.h"

#include <cerrno>

#include <fmt/format.h>

namespace conductor::image::registry {
namespace {

constexpr unsigned most_futile_attempts = 4; // in a row, without a single byte
constexpr unsigned most_attempts = 50;       // in all: a connection that gives a byte at a time ends too

std::string digest_of(std::string_view text) { return "sha256:" + sha256(text); }

bool is_number(std::string_view text)
{
  return !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// RFC 9110, 14.4: "bytes 100-199/200". Does it begin at `first`?
bool begins_at(const std::string& content_range, uint64_t first)
{
  return content_range.starts_with("bytes " + std::to_string(first) + "-");
}

[[noreturn]] void wrong_digest(const std::string& what, const std::string& wanted, const std::string& found)
{
  throw Error{fmt::format("{} has the digest {}, not {}: what came is not what was asked for", what, found, wanted),
              EBADMSG};
}

} // namespace

// What has come of a blob, over all attempts and addresses.
struct Repository::Download {
  const Descriptor& descriptor;
  const Sink& sink;
  Digest digest{};
  uint64_t got = 0;

  void take(std::string_view bytes, const std::string& from)
  {
    if (bytes.size() > descriptor.size - got)
      throw Error{fmt::format("{} sends more than the {} bytes that {} has", from, descriptor.size, descriptor.digest),
                  EBADMSG};
    digest.bytes(bytes);
    sink(bytes);
    got += bytes.size();
  }
};

Repository::Repository(Trace& trace, const Registry& registry, const std::string& repository, Rights rights,
                       std::function<bool()> stop)
    : trace_(trace), repository_(repository)
{
  for (const auto& endpoint : registry.endpoints())
    if (rights == Rights::pull || !endpoint->is_mirror)
      sessions_.emplace_back(trace, *endpoint, repository, rights, stop);
}

std::string Repository::path(const char* kind, const std::string& last) const
{
  return "/v2/" + repository_ + "/" + kind + "/" + last;
}

template <class Attempt>
auto Repository::first_that_can(Attempt&& attempt)
{
  while (sessions_.size() > 1) {
    try {
      return attempt(sessions_.front());
    } catch (const Error& error) {
      if (error.number() == EINTR || error.number() == ECANCELED) throw;
      trace_.notice(fmt::format("the mirror {} cannot help: {}", sessions_.front().endpoint().name, error.sentence()));
      sessions_.pop_front();
    }
  }
  return attempt(sessions_.front());
}

Document Repository::manifest_of(Session& session, const std::string& selector, size_t most)
{
  Request request{
      .url = session.url(path("manifests", selector)), .headers = {"Accept: " + accepted_types()}, .most = most};
  Response response = session.send(std::move(request));
  if (!response.good()) throw refusal(session.endpoint(), response, "get " + repository_ + ":" + selector);
  Document document{.text = std::move(response.body), .content_type = response.header("content-type"), .digest = {}};
  document.digest = digest_of(document.text);
  if (selector.starts_with("sha256:") && document.digest != selector && holds(guard::checked_digests))
    wrong_digest("the manifest of " + repository_ + " from " + session.endpoint().name, selector, document.digest);
  return document;
}

Document Repository::manifest(const std::string& selector)
{
  return first_that_can([&](Session& session) { return manifest_of(session, selector, longest_manifest); });
}

Document Repository::manifest(const Descriptor& descriptor)
{
  return first_that_can([&](Session& session) {
    Document document = manifest_of(session, descriptor.digest, longest_manifest);
    if (document.text.size() != descriptor.size)
      throw Error{fmt::format("the manifest {} has {} bytes, and the index says {}", descriptor.digest,
                              document.text.size(), descriptor.size),
                  EBADMSG};
    return document;
  });
}

std::string Repository::small_blob(const Descriptor& descriptor)
{
  std::string text;
  blob(descriptor, [&](std::string_view bytes) { text += bytes; });
  return text;
}

void Repository::blob(const Descriptor& descriptor, const Sink& sink)
{
  Download download{descriptor, sink};
  first_that_can([&](Session& session) {
    fetch(session, descriptor, download);
    return 0;
  });
  const std::string found = "sha256:" + download.digest.hex();
  if (found != descriptor.digest && holds(guard::checked_digests))
    wrong_digest("a blob of " + repository_, descriptor.digest, found);
}

// Goes on where the last attempt, at this address or at another, has stopped.
void Repository::fetch(Session& session, const Descriptor& descriptor, Download& download)
{
  const std::string from = session.endpoint().name;
  unsigned futile = 0;
  for (unsigned attempt = 0; download.got < descriptor.size; ++attempt) {
    const uint64_t before = download.got;
    uint64_t skip = 0; // what comes a second time, where a server does not know ranges
    bool fresh = true;
    Request request{.url = session.url(path("blobs", descriptor.digest)), .headers = {}};
    if (before > 0) request.headers.push_back(fmt::format("Range: bytes={}-", before));
    request.sink = [&](const Response& head, std::string_view bytes) {
      if (std::exchange(fresh, false)) {
        if (head.status == 206 && !begins_at(head.header("content-range"), before))
          throw Error{from + " answers with another part of the blob than was asked for", EBADMSG};
        skip = head.status == 206 ? 0 : before;
        const std::string length = head.header("content-length");
        if (head.status == 200 && is_number(length) && std::stoull(length) != descriptor.size)
          throw Error{fmt::format("{} has {} bytes of {}, and the manifest says {}", from, length, descriptor.digest,
                                  descriptor.size),
                      EBADMSG};
      }
      const uint64_t known = std::min<uint64_t>(skip, bytes.size());
      skip -= known;
      download.take(bytes.substr(known), from);
    };
    std::string reason, retry_after;
    try {
      const Response response = session.send(std::move(request));
      if (!response.good() && !is_transient(response.status)) {
        Error error = refusal(session.endpoint(), response, "get " + descriptor.digest);
        if (descriptor.lies_elsewhere)
          error.with_hint("its bytes lie at an address of somebody else, which is not asked");
        throw error;
      }
      if (!response.good()) retry_after = response.header("retry-after");
      if (download.got == descriptor.size) return;
      reason = response.good() ? "the connection broke off" : fmt::format("it answers {}", response.status);
    } catch (const TransferError& error) {
      if (!error.transient()) throw;
      reason = error.sentence();
    }
    futile = download.got > before ? 0 : futile + 1;
    if (futile >= most_futile_attempts || attempt + 1 >= most_attempts)
      throw Error{fmt::format("get {} from {}: {} of {} bytes have come, then: {}", descriptor.digest, from,
                              download.got, descriptor.size, reason),
                  EIO};
    session.pause(futile, retry_after);
  }
}

bool Repository::has_blob(const std::string& digest)
{
  const Response response = own().send({.method = "HEAD", .url = own().url(path("blobs", digest))});
  if (response.status == 404) return false;
  if (!response.good()) throw refusal(own().endpoint(), response, "look for " + digest);
  return true;
}

// Where an upload goes on: the Location of the answer, at the registry itself or where it says. The header
// Authorization still goes to the registry alone.
Url Repository::upload_address(const Response& response)
{
  const std::string location = response.header("location");
  if (location.empty()) throw Error{own().endpoint().name + " does not say where to send the bytes"};
  const Url base = own().url(path("blobs", "uploads/"));
  const Url url = resolve(base, location);
  if (base.is_secure() && !url.is_secure())
    throw Error{own().endpoint().name + " wants the bytes sent without encryption, to " + visible(url.text())};
  return url;
}

bool Repository::mount_blob(const std::string& digest, const std::string& from)
{
  own().also_pull(from);
  const Url url =
      own().url(path("blobs", "uploads/") + "?mount=" + percent_encoded(digest) + "&from=" + percent_encoded(from));
  const Response response = own().send({.method = "POST", .url = url});
  own().also_pull("");
  if (response.status == 201) return true;
  // 202: it began an ordinary upload instead, which is left; it expires by itself where it cannot be ended. Everything
  // else: it does not do mounts.
  if (response.status != 202) return false;
  try {
    own().send({.method = "DELETE", .url = upload_address(response)});
  } catch (const TransferError&) {
  }
  return false;
}

void Repository::send_blob(const Upload& upload)
{
  const std::string what = "send " + upload.digest;
  for (unsigned attempt = 0;; ++attempt) {
    const Response begun = own().send({.method = "POST", .url = own().url(path("blobs", "uploads/"))});
    if (begun.status != 202) throw refusal(own().endpoint(), begun, what);
    Url url = upload_address(begun);
    url.target +=
        (url.target.find('?') == std::string::npos ? "?" : "&") + ("digest=" + percent_encoded(upload.digest));
    upload.begin();
    std::string retry_after;
    try {
      const Response done = own().send({.method = "PUT",
                                        .url = url,
                                        .headers = {"Content-Type: application/octet-stream"},
                                        .source = upload.source,
                                        .body_size = upload.size});
      if (done.status == 201) return;
      if (!is_transient(done.status) || attempt + 1 >= most_futile_attempts)
        throw refusal(own().endpoint(), done, what);
      retry_after = done.header("retry-after");
    } catch (const TransferError& error) {
      if (!error.transient() || attempt + 1 >= most_futile_attempts) throw;
    }
    own().pause(attempt, retry_after);
  }
}

void Repository::send_manifest(const std::string& selector, const std::string& text, const std::string& media_type)
{
  const Response response = own().send({.method = "PUT",
                                        .url = own().url(path("manifests", selector)),
                                        .headers = {"Content-Type: " + media_type},
                                        .body = text});
  if (response.status != 201) throw refusal(own().endpoint(), response, "send the manifest");
  const std::string digest = response.header("docker-content-digest");
  if (!digest.empty() && digest != digest_of(text))
    throw Error{own().endpoint().name + " has stored another manifest than was sent", EBADMSG};
}

} // namespace conductor::image::registry
