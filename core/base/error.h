// The one error type of conductor.
//
// The sentence is made where the call fails: operation, object, cause, and the cure where one is known. Front ends
// print it as it is; nothing on the way up needs to add to it, though `within()` may put the user's own words in front
// ("cannot start 'web'").
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace conductor {

class Error : public std::runtime_error {
public:
  // sentence: "mount overlay on '...'"; number: an errno, or 0 where no system call failed; hint: the cure, or empty.
  explicit Error(std::string sentence, int number = 0, std::string hint = {});

  // The whole sentence, with the text of errno behind it: "mount overlay on '/x': No space left on device".
  std::string_view sentence() const { return what(); }
  std::string_view hint() const { return hint_; }
  int number() const { return number_; }

  // The exit status that a command line gives for it: 1 failed, 2 usage, 125..127 for run and exec (CLI.md).
  int status() const { return status_; }
  Error& with_status(int status) &;
  Error&& with_status(int status) &&;
  Error& with_hint(std::string hint) &;
  Error&& with_hint(std::string hint) &&;
  // A second half of the hint: the flag of `run` that avoids what failed. Taken off where nobody can give one.
  Error&& with_flag_hint(std::string_view flag) &&;
  Error without_flag_hint() const;
  // Where in hint() the second half begins; hint().size() without one.
  size_t flag_hint_at() const { return flag_hint_at_; }

  // The same error with what was being attempted in front: "cannot start 'web': mount overlay ...".
  Error within(std::string_view attempt) const;

  // An error that was already made elsewhere (another process), taken over word for word.
  static Error relayed(std::string sentence, int number, std::string hint, int status,
                       size_t flag_hint_at = std::string::npos);

private:
  struct Verbatim {};
  Error(Verbatim, const std::string& sentence, int number, std::string hint, int status);
  int number_ = 0;
  int status_ = 1;
  std::string hint_;
  size_t flag_hint_at_ = 0;
};

// Wrong usage: exit status 2, the hint says how the right usage looks.
Error usage_error(std::string sentence, std::string hint = {});

// Symbolic name of an errno ("ENOSPC"), "E<number>" for an unknown one, "" for 0.
std::string errno_name(int number);
// The errno of such a name, 0 where there is none.
int errno_number(std::string_view name);

} // namespace conductor
