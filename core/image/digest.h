// SHA-256, of text and of files. The only place that knows the library behind it (libcrypto).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace conductor::image {

// A running hash. Every piece that is added with its length in front ends where it says, so that no two different
// sequences of fields look alike: ("ab", "c") is not ("a", "bc").
class Digest {
public:
  Digest();
  Digest(Digest&&) noexcept;
  ~Digest();
  void bytes(std::string_view raw);      // as they are
  Digest& field(std::string_view value); // length, then value
  Digest& field(uint64_t value);
  // The whole content of an open file, from its current offset, with its length behind it. Throws Error.
  Digest& file(int fd, const std::string& what);
  std::string hex();                   // 64 digits; ends the hash
  std::array<unsigned char, 32> raw(); // the same as bytes

private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hex_of(const std::array<unsigned char, 32>& digest); // 64 digits
std::string sha256(std::string_view text);
// Of the whole content of an open file, from its current offset. Throws Error.
std::array<unsigned char, 32> digest_of(int fd, const std::string& what);

} // namespace conductor::image
