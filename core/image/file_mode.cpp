#include "core/image/file_mode.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <algorithm>

#include <sys/stat.h>

namespace conductor::image {
namespace {

constexpr mode_t umask_of_a_build = 022;

// A letter of who: the bits that are its own.
struct Who {
  char letter;
  mode_t mask;
  int shift;
};
constexpr Who everybody[] = {{'u', 04700, 6}, {'g', 02070, 3}, {'o', 01007, 0}, {'a', 07777, -1}};

struct Right {
  char letter;
  mode_t bits;
};
constexpr Right rights[] = {{'r', 0444}, {'w', 0222}, {'x', 0111}, {'X', 0}, {'s', 06000}, {'t', 01000}};

template <typename Table>
const auto* find_letter(const Table& table, char letter)
{
  const auto* const found =
      std::find_if(std::begin(table), std::end(table), [&](auto& e) { return e.letter == letter; });
  return found == std::end(table) ? nullptr : found;
}

bool is_sign(char c) { return c == '+' || c == '-' || c == '='; }

} // namespace

FileMode::FileMode(std::string_view text)
{
  const Error wrong{"--chmod: '" + visible(text) + "' is no mode", 0, "--chmod=755, or --chmod=u=rwX,go=rX"};
  if (!text.empty() && text.size() <= 5 && text.find_first_not_of("01234567") == std::string_view::npos) {
    mode_t bits = 0;
    for (const char digit : text) bits = bits << 3 | static_cast<mode_t>(digit - '0');
    if (bits > 07777) throw Error{wrong};
    changes_.push_back({.bits = bits});
    return;
  }
  try {
    for (bool more = true; more;) {
      const size_t comma = text.find(',');
      more = comma != std::string_view::npos;
      take_clause(text.substr(0, comma));
      text.remove_prefix(more ? comma + 1 : text.size());
    }
  } catch (const Error&) {
    throw Error{wrong};
  }
}

// u+x, go=, a-w+X
void FileMode::take_clause(std::string_view clause)
{
  mode_t who = 0;
  while (!clause.empty() && !is_sign(clause.front())) {
    const Who* found = find_letter(everybody, clause.front());
    if (found == nullptr) throw Error{"who"};
    who |= found->mask;
    clause.remove_prefix(1);
  }
  if (clause.empty()) throw Error{"no sign"};
  while (!clause.empty()) {
    Change change{.sign = clause.front()};
    if (who != 0) change.about = change.touches = who;
    if (who == 0) change.touches &= ~umask_of_a_build;
    clause.remove_prefix(1);
    if (const Who* other = clause.empty() ? nullptr : find_letter(everybody, clause.front())) {
      if (other->shift < 0) throw Error{"a cannot be copied"};
      change.copied = other->shift;
      clause.remove_prefix(1);
    }
    for (; !clause.empty() && !is_sign(clause.front()); clause.remove_prefix(1)) {
      const Right* right = find_letter(rights, clause.front());
      if (right == nullptr || change.copied >= 0) throw Error{"right"};
      change.bits |= right->bits;
      change.executes_if_any = change.executes_if_any || right->letter == 'X';
    }
    changes_.push_back(change);
  }
}

mode_t FileMode::applied(mode_t mode) const
{
  for (const Change& change : changes_) {
    mode_t bits = change.bits;
    if (change.copied >= 0) bits = (mode >> change.copied & 7) * 0111;
    if (change.executes_if_any && (S_ISDIR(mode) || (mode & 0111) != 0)) bits |= 0111;
    bits &= change.touches;
    if (change.sign == '+')
      mode |= bits;
    else if (change.sign == '-')
      mode &= ~bits;
    else
      mode = (mode & ~change.about) | bits;
  }
  return mode;
}

} // namespace conductor::image
