// Where copied files arrive: an archive becomes files at a path, all of them or none.
//
// Everything is written into a directory of its own beside its place first, where nobody looks. When it is whole it is
// put in place by renaming: what is new appears, what was there before changes places with the new one. So until the
// last moment nothing has changed, and what did change can be changed back.
#pragma once

#include "core/base/trace.h"
#include "core/base/undo.h"
#include "core/image/copy_place.h"
#include "core/image/tar.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace conductor::image {

// The name of what is copied, in the archive between the two sides.
inline constexpr const char* copy_top = "top";

struct CopyWish {
  CopyPath target;
  std::string base;      // what a copy into a directory is called there
  bool contents = false; // of a directory: what lies in it goes into the target, where that is there
  bool stream = false;   // the archive is the user's: all of it goes into the target, a directory
  bool keep_owner = false;
  std::optional<uint32_t> ids; // the target knows ids below this only
};

class CopyTarget : private TarHandler {
public:
  CopyTarget(Trace& trace, const Place& place, CopyWish wish);
  CopyTarget(const CopyTarget&) = delete;
  CopyTarget& operator=(const CopyTarget&) = delete;
  // Without finish() it puts everything back as it was.
  ~CopyTarget() override;

  // The archive's bytes as they come. Throws Error.
  void feed(std::string_view bytes) { reader_.feed(bytes); }
  // It was all: puts it in place. Throws Error; then nothing is changed.
  void finish();

  uint64_t entries() const { return entries_; }
  uint64_t bytes() const { return bytes_; }

private:
  class Stage;
  class StageWriter;
  // One renaming: what lies in a stage now, and its place.
  struct Move {
    size_t stage = 0;
    std::string staged, placed;
    bool exchanged = false; // the stage has what was there before
  };
  // A name in an open directory, and the whole path of it.
  struct Spot {
    int directory = -1;
    std::string name, path;
  };

  void begin(const TarEntry& entry) override;
  void data(std::string_view bytes) override;
  void end() override;

  TarEntry adapted(const TarEntry& entry) const;
  void find_place(bool is_directory);
  void find_name();
  size_t make_stage(int directory, const std::string& path);
  void put(size_t stage, const Spot& from, const Spot& to);
  void put_content(size_t stage, const Spot& from, int to, const std::string& path);
  void put_by_copy(const Spot& from, int to, const std::string& path);
  std::optional<Fd> directory_at(const Spot& to, mode_t mode) const;
  void rename(size_t stage, const Spot& from, const Spot& to, bool exists);
  void put_back();
  void remove_stages();

  Trace& trace_;
  const Place& place_;
  CopyWish wish_;
  TarReader reader_;
  bool began_ = false;
  bool merges_ = false; // the content of the top goes into directory_
  Fd directory_;        // where it is put
  std::string directory_path_;
  std::string name_; // its name there, where it does not merge
  std::vector<std::unique_ptr<Stage>> stages_;
  std::unique_ptr<StageWriter> writer_;
  std::vector<Move> moves_;
  uint64_t for_good_ = 0; // replaced where names cannot be exchanged
  uint64_t entries_ = 0, bytes_ = 0;
  Undo undo_;
};

} // namespace conductor::image
