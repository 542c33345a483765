// Fuzzing the readers of what images are exchanged as: tar archives, and the configuration. Any bytes give entries or
// an Error. What the reader lets through is what the unpacker relies on: clean names, sizes that hold, entries in
// order.
#include "core/image/registry/manifest.h"
#include "core/image/tar.h"
#include "core/store/configuration.h"
#include "fuzz/fuzzing.h"

#include <algorithm>

namespace {

using namespace conductor;
using namespace conductor::fuzz;
using namespace conductor::image;

// Names, links and sizes as the unpacker expects them, told as one text.
class Judge : public TarHandler {
public:
  void begin(const TarEntry& entry) override
  {
    if (open_) fail("an entry begins inside another");
    open_ = true;
    check_name(entry.name);
    if (entry.name.empty() && entry.type != EntryType::directory) fail("the root is no directory");
    if (entry.type == EntryType::hard_link) check_name(entry.link);
    if (entry.link.find('\0') != std::string::npos) fail("a link holds a zero byte");
    if (entry.type != EntryType::file && entry.size != 0) fail("what is no file has a size");
    if ((entry.mode & ~07777U) != 0) fail("a mode holds a type");
    if (entry.modified.tv_nsec < 0 || entry.modified.tv_nsec >= 1'000'000'000) fail("a time has no nanoseconds");
    left_ = entry.size;
    told += entry.name + "\n" + entry.link + "\n";
    last = entry;
  }
  void data(std::string_view bytes) override
  {
    if (!open_ || bytes.size() > left_) fail("more content than was announced");
    left_ -= bytes.size();
    told += bytes;
  }
  void end() override
  {
    if (!open_ || left_ != 0) fail("an entry ends before its content");
    open_ = false;
  }
  std::string told;
  TarEntry last;

private:
  static void check_name(const std::string& name)
  {
    if (name.starts_with('/') || name.ends_with('/') || name.find("//") != std::string::npos)
      fail("a name is not clean");
    if (name.find('\0') != std::string::npos || name.size() > 4095) fail("a name is no path");
    const std::string whole = "/" + name + "/";
    if (whole.find("/../") != std::string::npos || whole.find("/./") != std::string::npos) fail("a name climbs");
  }
  bool open_ = false;
  uint64_t left_ = 0;
};

// Empty when it was refused.
std::string told_in_pieces(std::string_view bytes, size_t piece)
{
  Judge judge;
  try {
    TarReader reader{judge};
    for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
      reader.feed(rest.substr(0, piece));
    reader.finish(TarReader::EndMark::may_be_missing);
  } catch (const Error& error) {
    if (error.sentence().empty()) fail("an error says nothing");
    return {};
  }
  return judge.told + "ok";
}

void look_at_archive(std::string_view bytes)
{
  const std::string whole = told_in_pieces(bytes, bytes.size() + 1);
  if (told_in_pieces(bytes, 1) != whole) fail("an archive in single bytes is another one");
  if (told_in_pieces(bytes, 700) != whole) fail("an archive in pieces is another one");
}

// What was read, written and read again is the same.
void look_at_entry(std::string_view bytes)
{
  Judge judge;
  try {
    TarReader reader{judge};
    reader.feed(bytes);
  } catch (const Error&) {
  }
  if (judge.told.empty()) return;
  TarEntry entry = judge.last;
  entry.size = 0;
  for (auto& [key, value] : entry.xattrs)
    if (key.empty() || key.find('=') != std::string::npos) return; // pax has no way to say these
  Judge again;
  TarReader reader{again};
  reader.feed(tar_header(entry));
  const TarEntry& back = again.last;
  if (back.name != entry.name || back.link != entry.link || back.uid != entry.uid || back.mode != entry.mode ||
      back.xattrs != entry.xattrs || back.type != entry.type || back.modified.tv_sec != entry.modified.tv_sec)
    fail("an entry does not come back");
}

void look_at_configuration(std::string_view text)
{
  either_way([&] {
    const Configuration read = parse_configuration(text);
    if (read.diff_ids.size() > most_layers) fail("too many layers were taken");
    for (const std::string& id : read.diff_ids)
      if (!is_digest_hex(id)) fail("a diff_id is no digest");
    const std::string canonical = configuration_text(read.config, read.diff_ids);
    const Configuration again = parse_configuration(canonical);
    if (configuration_text(again.config, again.diff_ids) != canonical) fail("a configuration is not stable");
  });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  look_at_archive(bytes);
  look_at_entry(bytes);
  look_at_configuration(bytes);
  parse_rfc3339(bytes);
  if (const auto hex = digest_hex(bytes); hex && !is_digest_hex(*hex)) fail("a digest is none");
  return 0;
}
