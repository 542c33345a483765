// run/journal: one JSON line a life-cycle fact, appended with one write, rotated at 4 MiB.
//
// The store stays the truth; a lost line loses history only.
#pragma once

#include "core/store/root.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

struct JournalEntry {
  int64_t time_ns = 0; // CLOCK_REALTIME
  std::string id;      // of the container, or empty
  std::string name;    // of the container or image
  std::string verb;    // "start", "exit", "build" ...
  std::string outcome; // "done", "failed", "exit 137"
  std::string user;    // the login name behind it, or uid
};

// Appends one line; time 0 is now, an empty user is whoever runs this command. Throws Error (a full disk): callers that
// only keep history may tell it as a notice and go on.
void append(const Root& root, const JournalEntry& entry);
std::string to_json(const JournalEntry& entry);
std::optional<JournalEntry> journal_entry_from_json(std::string_view line);
// The newest `most` entries, oldest first.
std::vector<JournalEntry> last_entries(const Root& root, size_t most);

// Follows the journal: `events` and the console read with it what was appended since they last looked.
class JournalTail {
public:
  // The root must outlive it.
  explicit JournalTail(const Root& root) : root_(root) {}
  // At the first call the newest `most` entries, then what came since (most again the limit). Never blocks; survives
  // the journal being rotated or missing.
  std::vector<JournalEntry> next(size_t most);

private:
  bool open();
  bool was_rotated() const;
  std::string read_on();
  const Root& root_;
  Fd file_;
  bool began_ = false;
  int64_t offset_ = 0;
  std::string unfinished_; // a line whose end is not written yet
};

} // namespace conductor
