// root/blobs/sha256/<hex>: bytes known by their digest. What lies here is the packed form of layers that were made
// elsewhere, kept so that the same bytes, and with them the same digest, leave when the image leaves.
#pragma once

#include "core/store/root.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

class Blobs {
public:
  explicit Blobs(const Root& root) : root_(root) {}

  // hex: 64 lower-case hex digits, here and below.
  bool has(const std::string& hex) const;
  // For reading, from its beginning; none when it is not there. Throws Error.
  std::optional<Fd> find(const std::string& hex) const;
  // Bytes; 0 when it is not there.
  uint64_t size(const std::string& hex) const;
  std::vector<std::string> list() const;
  // Renames a finished file (root-relative, in a workshop) to its place; one that is there already wins. The caller has
  // checked that the digest is that of the bytes.
  void commit(const std::string& made, const std::string& hex) const;
  // Gone already is success.
  void remove(const std::string& hex) const;

private:
  const Root& root_;
};

} // namespace conductor
