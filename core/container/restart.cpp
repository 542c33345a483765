#include "core/container/restart.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

namespace conductor {
namespace {

using When = RestartPolicy::When;

constexpr std::chrono::milliseconds shortest{100}, longest{60'000}, well_after{10'000};

constexpr std::array<std::pair<std::string_view, When>, 4> words{{{"no", When::never},
                                                                  {"on-failure", When::on_failure},
                                                                  {"always", When::always},
                                                                  {"unless-stopped", When::unless_stopped}}};

std::string mark_of(const std::string& id) { return "containers/id/" + id + "/stopped"; }

} // namespace

RestartPolicy restart_policy(std::string_view text)
{
  const std::string_view word = text.substr(0, text.find(':'));
  const auto row = std::find_if(words.begin(), words.end(), [&](const auto& each) { return each.first == word; });
  if (row != words.end() && word.size() == text.size()) return {row->second, {}};
  if (row != words.end() && row->second == When::on_failure) {
    const std::string_view digits = text.substr(word.size() + 1);
    unsigned most = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), most);
    if (error == std::errc{} && end == digits.data() + digits.size()) return {When::on_failure, most};
  }
  throw usage_error("restart policy '" + visible(text) + "' is not known",
                    "no, on-failure[:N], always or unless-stopped");
}

bool starts_again(const RestartPolicy& policy, const Status& status)
{
  switch (policy.when) {
  case When::never: return false;
  case When::always:
  case When::unless_stopped: return true;
  case When::on_failure: break;
  }
  // As docker, 0 is no limit.
  return status.exit_code != 0 && (policy.most.value_or(0) == 0 || status.restarts < *policy.most);
}

bool starts_at_boot(const RestartPolicy& policy, bool was_stopped)
{
  return policy.when == When::always || (policy.when == When::unless_stopped && !was_stopped);
}

std::chrono::milliseconds RestartPause::after(std::chrono::milliseconds ran)
{
  const bool first = last_.count() == 0 || ran >= well_after;
  return last_ = first ? shortest : std::min(last_ * 2, longest);
}

void mark_stopped(const Root& root, const Spec& spec)
{
  if (restart_policy(spec.restart).when == When::never) return;
  try {
    kernel::write_file(root.trace(), root.dir(), mark_of(spec.id), "");
  } catch (const Error& error) {
    if (error.number() != ENOENT) throw; // removed meanwhile
  }
}

void unmark_stopped(const Root& root, const Spec& spec)
{
  if (restart_policy(spec.restart).when == When::never) return;
  kernel::remove_file(root.trace(), root.dir(), mark_of(spec.id));
}

bool waits_to_restart(const Status& status)
{
  return status.state == State::exited && status.restart_ns != 0 && status.boot_id == kernel::boot_id() &&
         kernel::is_alive(status.keeper, status.keeper_start);
}

bool is_marked_stopped(const Root& root, const std::string& id) { return kernel::exists(root.dir(), mark_of(id)); }

} // namespace conductor
