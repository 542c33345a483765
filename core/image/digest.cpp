#include "core/image/digest.h"

#include "core/base/error.h"

#include <array>
#include <cerrno>

// The plain functions, which are only marked as old: the EVP ones read a configuration, load providers and look the
// algorithm up by its name each time, together a third of all that a cached build does.
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>
#include <unistd.h>

namespace conductor::image {

struct Digest::State {
  SHA256_CTX context;
};

Digest::Digest() : state_(std::make_unique<State>()) { SHA256_Init(&state_->context); }

Digest::Digest(Digest&&) noexcept = default;
Digest::~Digest() = default;

void Digest::bytes(std::string_view raw) { SHA256_Update(&state_->context, raw.data(), raw.size()); }

Digest& Digest::field(uint64_t value)
{
  std::array<char, 8> little{};
  for (char& byte : little) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  bytes({little.data(), little.size()});
  return *this;
}

Digest& Digest::field(std::string_view value)
{
  field(uint64_t{value.size()});
  bytes(value);
  return *this;
}

Digest& Digest::file(int fd, const std::string& what)
{
  std::array<char, 262144> buffer; // NOLINT: filled by read(2)
  uint64_t length = 0;
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error{"read " + what, errno};
    if (got == 0) return field(length);
    bytes({buffer.data(), static_cast<size_t>(got)});
    length += static_cast<uint64_t>(got);
  }
}

std::array<unsigned char, 32> Digest::raw()
{
  std::array<unsigned char, 32> bytes{};
  SHA256_Final(bytes.data(), &state_->context);
  return bytes;
}

std::string Digest::hex() { return hex_of(raw()); }

std::string hex_of(const std::array<unsigned char, 32>& digest)
{
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string sha256(std::string_view text)
{
  Digest digest;
  digest.bytes(text);
  return digest.hex();
}

std::array<unsigned char, 32> digest_of(int fd, const std::string& what)
{
  Digest digest;
  digest.file(fd, what);
  return digest.raw();
}

} // namespace conductor::image
