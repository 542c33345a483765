#include "core/base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace conductor {
namespace {

std::string complete(std::string sentence, int number)
{
  if (number == 0) return sentence;
  return std::move(sentence) + ": " + strerrordesc_np(number);
}

} // namespace

Error::Error(std::string sentence, int number, std::string hint)
    : std::runtime_error(complete(std::move(sentence), number)), number_(number), hint_(std::move(hint)),
      flag_hint_at_(hint_.size())
{}

Error::Error(Verbatim, const std::string& sentence, int number, std::string hint, int status)
    : std::runtime_error(sentence), number_(number), status_(status), hint_(std::move(hint)),
      flag_hint_at_(hint_.size())
{}

Error& Error::with_status(int status) &
{
  status_ = status;
  return *this;
}

Error&& Error::with_status(int status) &&
{
  status_ = status;
  return std::move(*this);
}

Error& Error::with_hint(std::string hint) &
{
  hint_ = std::move(hint);
  flag_hint_at_ = hint_.size();
  return *this;
}

Error&& Error::with_hint(std::string hint) && { return std::move(with_hint(std::move(hint))); }

Error&& Error::with_flag_hint(std::string_view flag) &&
{
  if (!hint_.empty()) hint_ += "; ";
  hint_ += flag;
  return std::move(*this);
}

Error Error::without_flag_hint() const { return Error{*this}.with_hint(hint_.substr(0, flag_hint_at_)); }

Error Error::within(std::string_view attempt) const
{
  return relayed(std::string{attempt} + ": " + what(), number_, hint_, status_, flag_hint_at_);
}

Error Error::relayed(std::string sentence, int number, std::string hint, int status, size_t flag_hint_at)
{
  Error error{Verbatim{}, sentence, number, std::move(hint), status};
  error.flag_hint_at_ = std::min(flag_hint_at, error.hint_.size());
  return error;
}

Error usage_error(std::string sentence, std::string hint)
{
  return Error{std::move(sentence), 0, std::move(hint)}.with_status(2);
}

std::string errno_name(int number)
{
  if (number == 0) return {};
  const char* name = strerrorname_np(number);
  return name != nullptr ? name : "E" + std::to_string(number);
}

int errno_number(std::string_view name)
{
  constexpr int last = EHWPOISON; // errno(3)
  for (int number = 1; number <= last; ++number)
    if (const char* each = strerrorname_np(number); each != nullptr && name == each) return number;
  return 0;
}

} // namespace conductor
