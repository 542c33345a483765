// The mode that --chmod of COPY and ADD gives: octal digits, or a change of the one that each file has. Pure.
#pragma once

#include <string_view>
#include <vector>

#include <sys/types.h>

namespace conductor::image {

class FileMode {
public:
  // "755", "1777", "u+x", "u=rwX,go=rX": chmod(1)'s language, as BuildKit takes it. Where no u, g, o or a stands, bits
  // of the umask 022 are left alone, whatever the host's is. Throws Error for anything else.
  explicit FileMode(std::string_view text);
  // mode: with the type, which stays. X gives the right only to directories and to what somebody may execute already.
  mode_t applied(mode_t mode) const;

private:
  // What one '+', '-' or '=' says: the bits it is about, those it may touch ('=' takes the others away), and what is
  // given or taken. `copied` is a shift: the rights of the user (6), the group (3) or the others (0); -1: those in
  // `bits`.
  struct Change {
    char sign = '=';
    mode_t about = 07777, touches = 07777;
    mode_t bits = 0;
    bool executes_if_any = false;
    int copied = -1;
  };
  void take_clause(std::string_view clause);
  std::vector<Change> changes_;
};

} // namespace conductor::image
