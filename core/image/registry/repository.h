// One repository of a registry: its manifests, its blobs, and what is sent into it. Reading asks the mirrors first;
// writing goes to the registry itself. One object a thread.
#pragma once

#include "core/image/registry/manifest.h"
#include "core/image/registry/session.h"

#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace conductor::image::registry {

// A manifest as it came, every byte: its digest is that of this text.
struct Document {
  std::string text, content_type;
  std::string digest; // "sha256:..."
};

class Repository {
public:
  using Sink = std::function<void(std::string_view bytes)>;

  Repository(Trace& trace, const Registry& registry, const std::string& repository, Rights rights,
             std::function<bool()> stop = {});

  // selector: a tag or a digest. A digest is checked. Throws Error.
  Document manifest(const std::string& selector);
  // The same by a descriptor (an index's entry): size and digest are checked.
  Document manifest(const Descriptor& descriptor);
  // A blob that fits into memory (a configuration). Size and digest are checked.
  std::string small_blob(const Descriptor& descriptor);
  // Streams a blob; resumes where a connection broke off. Size and digest are checked, so the sink's work counts only
  // when this returns. Throws Error, and what the sink throws.
  void blob(const Descriptor& descriptor, const Sink& sink);

  // Is that blob in the registry's own repository?
  bool has_blob(const std::string& digest);
  // Takes it over from another repository of the same registry; false: it does not do that.
  bool mount_blob(const std::string& digest, const std::string& from);
  // Sends a blob: `source` gives its bytes from the beginning each time that `begin` was called. Throws Error.
  struct Upload {
    std::string digest;
    uint64_t size = 0;
    std::function<void()> begin;
    std::function<size_t(char* buffer, size_t room)> source;
  };
  void send_blob(const Upload& upload);
  // Puts a manifest under a tag or its digest.
  void send_manifest(const std::string& selector, const std::string& text, const std::string& media_type);

private:
  struct Download;
  std::string path(const char* kind, const std::string& last) const;
  Document manifest_of(Session& session, const std::string& selector, size_t most);
  void fetch(Session& session, const Descriptor& descriptor, Download& download);
  // Tries the sessions in turn; of those but the last a failure is only told.
  template <class Attempt>
  auto first_that_can(Attempt&& attempt);
  Session& own() { return sessions_.back(); }
  Url upload_address(const Response& response);

  Trace& trace_;
  std::string repository_;
  std::deque<Session> sessions_; // mirrors, then the registry itself
};

} // namespace conductor::image::registry
