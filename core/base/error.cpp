#include "core/base/error.h"

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
    : std::runtime_error(complete(std::move(sentence), number)), number_(number), hint_(std::move(hint))
{}

Error::Error(Verbatim, const std::string& sentence, int number, std::string hint, int status)
    : std::runtime_error(sentence), number_(number), status_(status), hint_(std::move(hint))
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
  return *this;
}

Error&& Error::with_hint(std::string hint) &&
{
  hint_ = std::move(hint);
  return std::move(*this);
}

Error Error::within(std::string_view attempt) const
{
  return Error{Verbatim{}, std::string{attempt} + ": " + what(), number_, hint_, status_};
}

Error Error::relayed(std::string sentence, int number, std::string hint, int status)
{
  return Error{Verbatim{}, sentence, number, std::move(hint), status};
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

} // namespace conductor
