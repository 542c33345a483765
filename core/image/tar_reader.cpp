// A state machine over blocks of 512 bytes. Everything that an archive claims is checked before it is believed: lengths
// against limits, numbers against their ranges, names against what a path may be.
#include "core/image/tar.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace conductor::image {
namespace {

constexpr size_t block_size = 512;
constexpr size_t longest_extension = 1 << 20; // pax and long-name headers
constexpr size_t longest_name = 4095;         // PATH_MAX
constexpr size_t longest_component = 255;     // NAME_MAX
constexpr uint64_t longest_tail = 1 << 20;    // zeros behind the end; archives are padded to 10 KiB, some to more
constexpr int64_t largest_major = 0xfff, largest_minor = 0xfffff; // the kernel's dev_t
constexpr uint64_t largest_file = uint64_t{1} << 60;

[[noreturn]] void damaged(const std::string& what) { throw Error{"the archive is damaged: " + what}; }
[[noreturn]] void refuse(std::string_view name, const std::string& what)
{
  throw Error{"the archive's entry '" + visible(name, 200) + "' " + what};
}

bool all_zero(std::string_view bytes)
{
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

// A field of the header: offset and length (POSIX.1-2017, pax, "ustar Header Block").
struct Field {
  size_t at, length;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, uid_field{108, 8}, gid_field{116, 8}, size_field{124, 12},
    time_field{136, 12}, checksum_field{148, 8}, link_field{157, 100}, magic_field{257, 8}, major_field{329, 8},
    minor_field{337, 8}, prefix_field{345, 155};
constexpr size_t type_at = 156;

std::string_view raw(const char* block, Field field) { return {block + field.at, field.length}; }

std::string text(const char* block, Field field)
{
  const std::string_view whole = raw(block, field);
  return std::string{whole.substr(0, whole.find('\0'))};
}

// Octal digits between spaces and zero bytes, or GNU's base 256 (first bit set; 0xff: negative).
int64_t number(const char* block, Field field, const char* what)
{
  const std::string_view whole = raw(block, field);
  const auto first = static_cast<unsigned char>(whole.front());
  if ((first & 0x80) != 0) {
    const bool negative = (first & 0x40) != 0;
    uint64_t value = negative ? ~uint64_t{0} : 0;
    for (size_t at = 0; at < whole.size(); ++at) {
      auto byte = static_cast<unsigned char>(whole[at]);
      if (at == 0) byte = static_cast<unsigned char>(negative ? byte | 0x80 : byte & 0x7f);
      if ((value >> 56) != (negative ? 0xff : 0)) damaged(std::string{"a "} + what + " is too large");
      value = (value << 8) | byte;
    }
    if (((value >> 63) != 0) != negative) damaged(std::string{"a "} + what + " is too large");
    return static_cast<int64_t>(value);
  }
  size_t at = 0;
  while (at < whole.size() && (whole[at] == ' ' || whole[at] == '\0')) ++at;
  int64_t value = 0;
  for (; at < whole.size() && whole[at] >= '0' && whole[at] <= '7'; ++at) value = value * 8 + (whole[at] - '0');
  for (; at < whole.size(); ++at)
    if (whole[at] != ' ' && whole[at] != '\0') damaged(std::string{"a "} + what + " is no number");
  return value;
}

uint64_t size_of(const char* block)
{
  const int64_t size = number(block, size_field, "size");
  if (size < 0 && !holds(guard::known_sizes)) return 0;
  if (size < 0) damaged("a size is below zero");
  return static_cast<uint64_t>(size);
}

// The sum of all bytes with the checksum's own as spaces; some old programs summed signed bytes.
void check_sum(const char* block)
{
  int64_t plain = 0;
  int64_t with_signs = 0;
  for (size_t at = 0; at < block_size; ++at) {
    const bool own = at >= checksum_field.at && at < checksum_field.at + checksum_field.length;
    const char c = own ? ' ' : block[at];
    plain += static_cast<unsigned char>(c);
    with_signs += static_cast<signed char>(c);
  }
  const int64_t told = number(block, checksum_field, "checksum");
  if (told != plain && told != with_signs) damaged("a header has a wrong checksum, or this is no tar archive");
}

uint32_t id_of(int64_t value, std::string_view name)
{
  if (value < 0 || value >= int64_t{0xffffffff})
    refuse(name, "belongs to the impossible user or group " + std::to_string(value));
  return static_cast<uint32_t>(value);
}

template <class Number>
std::optional<Number> decimal(std::string_view digits)
{
  Number value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// "1700000000.25", "-1.5": seconds since 1970. What no file system can hold is cut at what they can.
constexpr int64_t latest_second = int64_t{1} << 33;
constexpr int64_t earliest_second = -(int64_t{1} << 31);

timespec pax_time(std::string_view value)
{
  const size_t point = value.find('.');
  const auto seconds = decimal<int64_t>(value.substr(0, point));
  if (!seconds) damaged("a pax header has a time that is no number");
  int64_t nanoseconds = 0;
  if (point != std::string_view::npos) {
    std::string digits{value.substr(point + 1, 9)};
    if (digits.find_first_not_of("0123456789") != std::string::npos)
      damaged("a pax header has a time that is no number");
    digits.resize(9, '0');
    nanoseconds = decimal<int64_t>(digits).value_or(0);
  }
  int64_t whole = *seconds;
  if (value.starts_with('-') && nanoseconds != 0) {
    --whole;
    nanoseconds = 1'000'000'000 - nanoseconds;
  }
  return {.tv_sec = std::clamp(whole, earliest_second, latest_second), .tv_nsec = nanoseconds};
}

bool has_content(char type) { return type == '0'; }

} // namespace

std::string clean_entry_name(std::string_view name)
{
  if (!holds(guard::entry_names)) return std::string{name};
  if (name.starts_with('/')) refuse(name, "has an absolute name");
  if (name.find('\0') != std::string_view::npos) refuse(name, "has a zero byte in its name");
  std::string clean;
  size_t depth = 0;
  for (std::string_view rest = name; !rest.empty();) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") refuse(name, "climbs with '..'");
    if (part.size() > longest_component) refuse(name, "has a name of more than 255 bytes");
    if (++depth > deepest_entry) refuse(name, "lies more than " + std::to_string(deepest_entry) + " directories deep");
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  if (clean.size() > longest_name) refuse(name, "has a path of more than 4095 bytes");
  return clean;
}

void TarReader::feed(std::string_view bytes)
{
  while (!bytes.empty()) {
    switch (state_) {
    case State::header: {
      // Most headers come whole and are read where they lie.
      if (block_.empty() && bytes.size() >= block_size) {
        header(bytes.data());
        bytes.remove_prefix(block_size);
        break;
      }
      const size_t take = std::min(block_size - block_.size(), bytes.size());
      block_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (block_.size() < block_size) return;
      const std::string whole = std::exchange(block_, {});
      header(whole.data());
      break;
    }
    case State::extension: {
      const size_t take = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      payload_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      left_ -= take;
      if (left_ == 0) end_extension();
      break;
    }
    case State::content: {
      const size_t take = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      handler_.data(bytes.substr(0, take));
      bytes.remove_prefix(take);
      left_ -= take;
      if (left_ == 0) after_content();
      break;
    }
    case State::padding: {
      const size_t take = static_cast<size_t>(std::min<uint64_t>(padding_, bytes.size()));
      bytes.remove_prefix(take);
      padding_ -= take;
      if (padding_ == 0) state_ = State::header;
      break;
    }
    case State::ended:
      if (!all_zero(bytes)) damaged("something stands behind its end");
      trailing_ += bytes.size();
      if (trailing_ > longest_tail) damaged("more than 1 MiB of zeros stand behind its end");
      return;
    }
  }
}

void TarReader::finish(EndMark mark)
{
  const bool between = state_ == State::header && block_.empty() && !have_extension_;
  if (state_ != State::ended && !between) damaged("it stops in the middle");
  if (state_ != State::ended && mark == EndMark::needed && zero_blocks_ == 0) damaged("its end is missing");
}

void TarReader::header(const char* block)
{
  if (all_zero({block, block_size})) {
    if (have_extension_) damaged("a pax header has no entry behind it");
    if (++zero_blocks_ == 2) state_ = State::ended;
    return;
  }
  if (zero_blocks_ != 0) damaged("a block of zeros stands between its entries");
  check_sum(block);
  const char type = block[type_at];
  const uint64_t size = size_of(block);
  switch (type) {
  case 'x':
  case 'g':
  case 'L':
  case 'K':
    if (size > longest_extension) damaged("an extended header has " + std::to_string(size) + " bytes");
    if (size == 0) damaged("an extended header is empty");
    extension_type_ = type;
    payload_.clear();
    left_ = size;
    padding_ = (block_size - size % block_size) % block_size;
    state_ = State::extension;
    return;
  default: begin_entry(block, type, size);
  }
}

void TarReader::end_extension()
{
  state_ = padding_ == 0 ? State::header : State::padding;
  if (extension_type_ == 'x' || extension_type_ == 'g') return read_pax(payload_, extension_type_ == 'g');
  // GNU: the whole payload is a name that ends with a zero byte.
  std::string name = payload_.substr(0, payload_.find('\0'));
  have_extension_ = true;
  if (extension_type_ == 'L') {
    next_.path = std::move(name);
    next_.has_path = true;
  } else {
    next_.link = std::move(name);
    next_.has_link = true;
  }
}

// "LENGTH KEY=VALUE\n", the length counting itself.
void TarReader::read_pax(std::string_view records, bool global)
{
  if (!global) have_extension_ = true;
  while (!records.empty()) {
    const size_t space = records.find(' ');
    const auto length = space > 10 ? std::nullopt : decimal<size_t>(records.substr(0, space));
    if (!length || *length > records.size() || *length < space + 4 || records[*length - 1] != '\n')
      damaged("a pax header has a record of a wrong length");
    const std::string_view record = records.substr(space + 1, *length - space - 2);
    records.remove_prefix(*length);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) damaged("a pax header has a record without a key");
    pax_record(record.substr(0, equals), record.substr(equals + 1), global);
  }
}

void TarReader::pax_record(std::string_view key, std::string_view value, bool global)
{
  constexpr std::string_view xattr = "SCHILY.xattr.";
  if (key.starts_with("GNU.sparse.") && holds(guard::whole_files))
    throw Error{"the archive has sparse files, which are not taken", 0, "pack it without --sparse"};
  const bool is_about_one = key == "path" || key == "linkpath" || key == "size" || key.starts_with(xattr);
  // A global header may say who packed it and when; one that renames every entry is no honest archive.
  if (global && is_about_one) damaged("a global pax header sets '" + visible(key) + "'");
  if (global) return;
  if (key == "path") {
    next_.path = value;
    next_.has_path = true;
  } else if (key == "linkpath") {
    next_.link = value;
    next_.has_link = true;
  } else if (key == "size") {
    const auto size = decimal<uint64_t>(value);
    if (!size) damaged("a pax header has a size that is no number");
    next_.size = *size;
    next_.has_size = true;
  } else if (key == "uid" || key == "gid") {
    const auto id = decimal<int64_t>(value);
    if (!id) damaged("a pax header has a user or group that is no number");
    (key == "uid" ? next_.uid : next_.gid) = id_of(*id, next_.path);
    (key == "uid" ? next_.has_uid : next_.has_gid) = true;
  } else if (key == "mtime") {
    next_.modified = pax_time(value);
    next_.has_time = true;
  } else if (key.starts_with(xattr)) {
    next_.xattrs.emplace_back(key.substr(xattr.size()), value);
  }
}

void TarReader::begin_entry(const char* block, char type, uint64_t size)
{
  const std::string_view magic = raw(block, magic_field);
  const bool posix = magic.starts_with(std::string_view{"ustar\0", 6});
  const bool gnu = magic == std::string_view{"ustar  \0", 8};
  if (!posix && !gnu && !all_zero(magic)) damaged("a header is of an unknown kind");

  std::string name = text(block, name_field);
  if (posix)
    if (const std::string prefix = text(block, prefix_field); !prefix.empty()) name = prefix + "/" + name;
  if (next_.has_path) name = next_.path;
  if (type == '\0' || type == '7') type = '0';
  // In the oldest form a directory is a file whose name ends in '/'.
  if (type == '0' && name.ends_with('/')) type = '5';
  if (type == 'S') refuse(name, "is a sparse file, which is not taken");
  if (type < '0' || type > '6') refuse(name, "is of the unknown type '" + visible(std::string_view{&type, 1}) + "'");
  if (next_.has_size) size = next_.size;
  if (size != 0 && !has_content(type)) refuse(name, "has content and is no file");
  if (size > largest_file) refuse(name, "has the impossible size " + std::to_string(size));

  TarEntry entry;
  entry.type = static_cast<EntryType>(type);
  entry.name = clean_entry_name(name);
  if (entry.name.empty() && entry.type != EntryType::directory) refuse(name, "has no name");
  entry.mode = static_cast<mode_t>(number(block, mode_field, "mode")) & 07777;
  entry.uid = next_.has_uid ? next_.uid : id_of(number(block, uid_field, "user"), name);
  entry.gid = next_.has_gid ? next_.gid : id_of(number(block, gid_field, "group"), name);
  entry.modified = next_.has_time
                       ? next_.modified
                       : timespec{std::clamp(number(block, time_field, "time"), earliest_second, latest_second), 0};
  entry.size = size;
  if (entry.type == EntryType::hard_link || entry.type == EntryType::symlink) {
    entry.link = next_.has_link ? next_.link : text(block, link_field);
    if (entry.link.empty()) refuse(name, "is a link to nothing");
    if (entry.link.find('\0') != std::string::npos) refuse(name, "has a zero byte in its link");
    if (entry.link.size() > longest_name) refuse(name, "is a link of more than 4095 bytes");
    if (entry.type == EntryType::hard_link) {
      entry.link = clean_entry_name(entry.link);
      if (entry.link.empty()) refuse(name, "is a hard link to the root directory");
    }
  }
  if (entry.type == EntryType::character || entry.type == EntryType::block) {
    const int64_t major = number(block, major_field, "device number");
    const int64_t minor = number(block, minor_field, "device number");
    if (major < 0 || major > largest_major || minor < 0 || minor > largest_minor)
      refuse(name, "has an impossible device number");
    entry.major = static_cast<uint32_t>(major);
    entry.minor = static_cast<uint32_t>(minor);
  }
  entry.xattrs = std::move(next_.xattrs);
  next_ = {};
  have_extension_ = false;
  ++entries_;
  handler_.begin(entry);
  left_ = size;
  padding_ = (block_size - size % block_size) % block_size;
  if (size == 0) return after_content();
  state_ = State::content;
}

void TarReader::after_content()
{
  handler_.end();
  state_ = padding_ == 0 ? State::header : State::padding;
}

} // namespace conductor::image
