// The bytes of a log file, version 1: for the writer and the reader only. All numbers are little-endian.
//
//   file:    "conductor log 1\n"  mark[8]  created_ns[8]  record...
//   record:  mark[8]  time_ns[8]  length[4]  stream[1]  zero[3]  bytes[length]  length[4]
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <endian.h>

namespace conductor::log_format {

static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "numbers are written as they lie in memory");

using Mark = std::array<char, 8>;

inline constexpr std::string_view family = "conductor log "; // the version and a newline follow
inline constexpr std::string_view name = "conductor log 1\n";

struct FileHead {
  std::array<char, 16> name;
  Mark mark;
  int64_t created_ns;
};
static_assert(sizeof(FileHead) == 32);

struct RecordHead {
  Mark mark;
  int64_t time_ns;
  uint32_t length;
  uint8_t stream;
  std::array<uint8_t, 3> zero;
};
static_assert(sizeof(RecordHead) == 24);

using RecordTail = uint32_t;

inline constexpr size_t around_record = sizeof(RecordHead) + sizeof(RecordTail);

template <class Value>
Value load(const char* bytes)
{
  Value value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

} // namespace conductor::log_format
