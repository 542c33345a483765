// Headers as Go's archive/tar and GNU tar read them: ustar where all fits, pax records in front where something does
// not. Nothing in them depends on when or where they are written.
#include "core/image/tar.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

namespace conductor::image {
namespace {

constexpr size_t block_size = 512;
constexpr uint64_t most_octal_7 = 07777777;      // of a field of 8 bytes
constexpr uint64_t most_octal_11 = 077777777777; // of a field of 12 bytes
using Block = std::array<char, block_size>;

void put(Block& block, size_t at, std::string_view text) { std::memcpy(block.data() + at, text.data(), text.size()); }
void put_octal(Block& block, size_t at, size_t digits, uint64_t value)
{
  put(block, at, fmt::format("{:0{}o}", value, digits));
}

// "LENGTH KEY=VALUE\n", the length counting its own digits.
void add_record(std::string& records, std::string_view key, std::string_view value)
{
  const size_t without = key.size() + value.size() + 3;
  size_t length = without + 1;
  while (length != without + fmt::formatted_size("{}", length)) length = without + fmt::formatted_size("{}", length);
  records += fmt::format("{} {}=", length, key);
  records += value;
  records += '\n';
}

// The name in the two fields that ustar has for it; false when it does not fit.
bool put_name(Block& block, std::string_view name)
{
  if (name.size() <= 100) {
    put(block, 0, name);
    return true;
  }
  if (name.size() > 256) return false;
  // Split at the last '/' that leaves at most 155 bytes in front; what is behind must fit too.
  const size_t slash = name.rfind('/', 155);
  if (slash == std::string_view::npos || slash == 0 || name.size() - slash - 1 > 100 || slash + 1 == name.size())
    return false;
  put(block, 345, name.substr(0, slash));
  put(block, 0, name.substr(slash + 1));
  return true;
}

Block begin_block(char type, uint64_t size)
{
  Block block{};
  block[156] = type;
  put(block, 257, std::string_view{"ustar\00000", 8});
  put_octal(block, 124, 11, size);
  return block;
}

void end_block(Block& block, std::string& into)
{
  put(block, 148, "        ");
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, 148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  into.append(block.data(), block.size());
}

void add_pax_header(std::string& into, std::string_view name, const std::string& records)
{
  Block block = begin_block('x', records.size());
  const std::string_view last = name.substr(name.rfind('/') + 1);
  put(block, 0, "PaxHeaders.0/" + std::string{last.substr(0, 80)});
  put_octal(block, 100, 7, 0644);
  put_octal(block, 108, 7, 0);
  put_octal(block, 116, 7, 0);
  put_octal(block, 136, 11, 0);
  end_block(block, into);
  into += records;
  into += tar_padding(records.size());
}

bool has_size(EntryType type) { return type == EntryType::file; }

} // namespace

std::string tar_header(const TarEntry& entry)
{
  const uint64_t size = has_size(entry.type) ? entry.size : 0;
  std::string records;
  Block block = begin_block(static_cast<char>(entry.type), std::min(size, most_octal_11));
  const std::string name = (entry.name.empty() ? "." : entry.name) + (entry.type == EntryType::directory ? "/" : "");
  if (!put_name(block, name)) {
    add_record(records, "path", name);
    put(block, 0, std::string_view{name}.substr(0, 100));
  }
  if (entry.link.size() > 100) add_record(records, "linkpath", entry.link);
  put(block, 157, std::string_view{entry.link}.substr(0, 100));
  if (size > most_octal_11) add_record(records, "size", std::to_string(size));
  if (entry.uid > most_octal_7) add_record(records, "uid", std::to_string(entry.uid));
  if (entry.gid > most_octal_7) add_record(records, "gid", std::to_string(entry.gid));
  const int64_t seconds = entry.modified.tv_sec;
  const bool plain_time = seconds >= 0 && static_cast<uint64_t>(seconds) <= most_octal_11;
  if (entry.modified.tv_nsec != 0 && plain_time)
    add_record(records, "mtime", fmt::format("{}.{:09}", seconds, entry.modified.tv_nsec));
  else if (!plain_time)
    add_record(records, "mtime", std::to_string(seconds));
  for (const auto& [key, value] : entry.xattrs) add_record(records, "SCHILY.xattr." + key, value);
  put_octal(block, 100, 7, entry.mode & 07777);
  put_octal(block, 108, 7, std::min<uint64_t>(entry.uid, most_octal_7));
  put_octal(block, 116, 7, std::min<uint64_t>(entry.gid, most_octal_7));
  put_octal(block, 136, 11, plain_time ? static_cast<uint64_t>(seconds) : 0);
  put_octal(block, 329, 7, entry.major);
  put_octal(block, 337, 7, entry.minor);
  std::string header;
  if (!records.empty()) add_pax_header(header, name, records);
  end_block(block, header);
  return header;
}

std::string_view tar_padding(uint64_t size)
{
  static constexpr std::array<char, block_size> zeros{};
  return {zeros.data(), static_cast<size_t>((block_size - size % block_size) % block_size)};
}

std::string_view tar_end()
{
  static constexpr std::array<char, 2 * block_size> zeros{};
  return {zeros.data(), zeros.size()};
}

} // namespace conductor::image
