#include "core/engine/oom_watch.h"

#include "core/base/error.h"
#include "core/store/containers.h"
#include "core/store/journal.h"

#include <fmt/format.h>

#include <algorithm>

namespace conductor {
namespace {

// v1 says that memory has run out before somebody is killed for it, and says it also when room was found meanwhile.
constexpr int most_looks = 20;
constexpr uint64_t between_looks_us = 25'000;

} // namespace

std::string names_of(const std::vector<kernel::OomVictim>& victims)
{
  std::vector<std::string> once;
  for (const auto& victim : victims)
    if (std::find(once.begin(), once.end(), victim.name) == once.end()) once.push_back(victim.name);
  std::string names;
  for (const std::string& name : once) names += (names.empty() ? "'" : ", '") + visible(name) + "'";
  return names;
}

std::unique_ptr<OomWatch> OomWatch::begin(const Root& root, const std::string& id)
{
  try {
    kernel::OomNotice notice = kernel::open_oom_notice(root.trace(), root.id(), id);
    if (!notice.fd) return nullptr;
    return std::unique_ptr<OomWatch>{new OomWatch{root, id, std::move(notice)}};
  } catch (const Error& error) { // history only
    root.trace().notice(error.sentence());
    return nullptr;
  }
}

OomWatch::OomWatch(const Root& root, std::string id, kernel::OomNotice notice)
    : root_(root), id_(std::move(id)), notice_(std::move(notice))
{}

int OomWatch::patience_ms() const
{
  if (looks_left_ == 0) return -1;
  const uint64_t now = monotonic_us();
  return now >= look_us_ ? 0 : static_cast<int>((look_us_ - now + 999) / 1000);
}

void OomWatch::act()
{
  pollfd watched{notice_.fd.get(), notice_.events, 0};
  if (::poll(&watched, 1, 0) == 1) {
    notice_.read_anew();
    looks_left_ = most_looks;
  } else if (patience_ms() != 0) {
    return;
  }
  const uint64_t kills = kernel::oom_kills(root_.id(), id_);
  if (kills > told_) {
    tell(kills);
    looks_left_ = 0;
    return;
  }
  --looks_left_;
  look_us_ = monotonic_us() + between_looks_us;
}

void OomWatch::tell(uint64_t kills)
{
  auto victims = kernel::oom_victims(root_.id(), id_);
  const uint64_t fresh = kills - told_;
  told_ = kills;
  if (victims.size() > fresh) victims.erase(victims.begin(), victims.end() - static_cast<ptrdiff_t>(fresh));
  std::string who;
  for (const auto& victim : victims)
    who += fmt::format("{}'{}' (pid {})", who.empty() ? "" : ", ", visible(victim.name), victim.pid);
  if (who.empty()) who = fresh == 1 ? "a process" : fmt::format("{} processes", fresh);
  try {
    append(root_, {.id = id_,
                   .name = Containers{root_}.name_of(id_),
                   .verb = "oom",
                   .outcome = who + " killed for lack of memory"});
  } catch (const Error&) { // a full disk
  }
}

} // namespace conductor
