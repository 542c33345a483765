// Archives and configurations of images: headers with right checksums and wrong fields, pax records, names that climb;
// pieces of a configuration; noise.
#include "fuzz/fuzzing.h"

#include <array>

namespace conductor::fuzz {
namespace {

constexpr std::string_view names[] = {"a",  "a/b",       "../x",           "/etc/passwd", "./a//b/",
                                      "..", ".wh.a",     "d/.wh..wh..opq", "\xff",        "",
                                      ".",  "a/../../b", "a/b/c/d",        "...",         "\x1b[2J"};
constexpr std::string_view keys[] = {
    "path",  "linkpath", "size",           "uid",           "gid", "mtime", "SCHILY.xattr.user.a",
    "atime", "comment",  "GNU.sparse.map", "SCHILY.xattr.", ""};
constexpr std::string_view values[] = {"1",    "-1",  "99999999999999999999", "1.5", "-0.5", "x", "", "a/b",
                                       "../x", "0x10"};
constexpr std::string_view json_pieces[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "\"\"",
    "1",
    "-1",
    "1e9",
    "18446744073709551615",
    "\"a\\u0000b\"",
    "\"architecture\":\"amd64\"",
    "\"os\":\"linux\"",
    "\"config\":",
    "\"Env\":[\"A=1\"]",
    "\"Cmd\":null",
    "\"Labels\":{\"a\":\"b\"}",
    "\"ExposedPorts\":{\"80/tcp\":{}}",
    "\"Healthcheck\":{\"Test\":[\"NONE\"],\"Interval\":5}",
    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}",
    "\"history\":[{\"created_by\":\"x\",\"empty_layer\":true}]",
    "\"created\":\"2026-11-22T09:44:02Z\"",
    "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\""};

void fix_checksum(std::string& block)
{
  for (int i = 148; i < 156; ++i) block[static_cast<size_t>(i)] = ' ';
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::array<char, 8> digits{};
  std::snprintf(digits.data(), digits.size(), "%06o", sum);
  block.replace(148, 6, digits.data(), 6);
  block[154] = '\0';
}

std::string header(Random& random)
{
  std::string block(512, '\0');
  const auto put = [&](size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, one_of(random, names));
  put(100, "0000644");
  put(108, random() % 8 == 0 ? std::string_view{"\x80\1\2\3\4\5\6\7"} : "0001750");
  put(116, "0000000");
  constexpr std::string_view sizes[] = {
      "00000000000", "00000000005", "00000001000", "77777777777", "\x80", "\xff", "x"};
  put(124, one_of(random, sizes));
  put(136, "14000000000");
  constexpr std::string_view types = "0000015512346xxxxgLKS7VZ";
  block[156] = types[random() % types.size()];
  put(157, one_of(random, names));
  if (random() % 10 != 0)
    put(257, random() % 3 == 0 ? std::string_view{"ustar  "} : std::string_view{"ustar\00000", 8});
  if (random() % 10 == 0) put(345, one_of(random, names));
  if (random() % 6 == 0) block[random() % 512] = static_cast<char>(random());
  fix_checksum(block);
  return block;
}

std::string pax(Random& random)
{
  std::string records;
  for (auto count = random() % 4; count > 0; --count) {
    const std::string rest = " " + std::string{one_of(random, keys)} + "=" + std::string{one_of(random, values)} + "\n";
    size_t length = rest.size() + 1;
    while (length != rest.size() + std::to_string(length).size()) length = rest.size() + std::to_string(length).size();
    if (random() % 12 == 0) length += random() % 3;
    records += std::to_string(length) + rest;
  }
  std::string block = header(random);
  block[156] = random() % 6 == 0 ? 'g' : 'x';
  std::array<char, 16> size{};
  std::snprintf(size.data(), size.size(), "%011zo", records.size());
  block.replace(124, 11, size.data(), 11);
  fix_checksum(block);
  records.resize((records.size() + 511) / 512 * 512, '\0');
  return block + records;
}

} // namespace

std::string invent(Random& random, const Seeds& seeds)
{
  std::string text;
  if (!seeds.empty() && one_in(random, 4)) return changed(random, one_of(random, seeds), json_pieces);
  if (random() % 3 == 0) {
    text = "{";
    for (auto parts = random() % 20; parts > 0; --parts) text += one_of(random, json_pieces);
    text += "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    return text;
  }
  for (auto parts = 1 + random() % 6; parts > 0; --parts) {
    switch (random() % 5) {
    case 0: text += pax(random); break;
    case 1: text += std::string(512, '\0'); break;
    case 2: text += std::string(512, 'x'); break;
    default: text += header(random);
    }
  }
  if (random() % 3 == 0) text += std::string(1024, '\0');
  if (random() % 10 == 0) text.resize(random() % (text.size() + 1));
  return text;
}

} // namespace conductor::fuzz
