// Of a control group that ran out of memory: how often somebody was killed for it, who that was, and the notice of it.
#include "core/base/error.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"

#include <array>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace conductor::kernel {

uint64_t oom_kills(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  const bool v1 = !host.v1("memory").empty();
  const std::string file = v1 ? "memory.oom_control" : "memory.events";
  const auto text =
      find_content(AT_FDCWD, (v1 ? host.v1("memory") : host.v2) + "/" + cgroup_path(root_id, leaf) + "/" + file);
  if (!text) return 0;
  const size_t at = text->find("oom_kill ");
  if (at == std::string::npos) return 0;
  uint64_t count = 0;
  std::from_chars(text->data() + at + 9, text->data() + text->size(), count);
  return count;
}

namespace {

// "...;oom-kill:constraint=CONSTRAINT_MEMCG,...,task_memcg=/conductor/R/C,task=dd,pid=1,uid=0": the process, where it
// was in this group or below it (dump_oom_victim() in Linux).
OomVictim victim_in(std::string_view record, std::string_view group)
{
  constexpr std::string_view group_key = ",task_memcg=", name_key = ",task=", next_key = ",pid=";
  const size_t at = record.find(group_key);
  if (record.find(";oom-kill:") == std::string_view::npos || at == std::string_view::npos) return {};
  record.remove_prefix(at + group_key.size());
  const size_t name = record.find(name_key);
  const size_t end = record.rfind(next_key);
  if (name == std::string_view::npos || end == std::string_view::npos || end < name + name_key.size()) return {};
  const std::string_view where = record.substr(0, name);
  if (!where.ends_with(group) && where.find(std::string{group} + "/") == std::string_view::npos) return {};
  OomVictim victim{.name = std::string{record.substr(name + name_key.size(), end - name - name_key.size())}};
  std::from_chars(record.data() + end + next_key.size(), record.data() + record.size(), victim.pid);
  return victim;
}

} // namespace

std::vector<OomVictim> oom_victims(std::string_view root_id, std::string_view leaf)
{
  const uint64_t kills = oom_kills(root_id, leaf);
  const Fd log{::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  const std::string group = "/" + cgroup_path(root_id, leaf);
  std::vector<OomVictim> victims;
  std::array<char, 8192> record; // NOLINT: filled by read(2)
  while (log) {
    // A record at a time; EPIPE when some were overwritten before we came to them.
    const ssize_t got = ::read(log.get(), record.data(), record.size());
    if (got < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (got <= 0) break;
    if (auto victim = victim_in({record.data(), static_cast<size_t>(got)}, group); !victim.name.empty())
      victims.push_back(std::move(victim));
  }
  // Those of its earlier lives had a group of the same name.
  if (victims.size() > kills) victims.erase(victims.begin(), victims.end() - static_cast<ptrdiff_t>(kills));
  return victims;
}

void OomNotice::read_anew() const
{
  std::array<char, 1024> text;                            // NOLINT: filled by read(2)
  if (::pread(fd.get(), text.data(), text.size(), 0) < 0) // memory.events
    (void)!::read(fd.get(), text.data(), text.size());    // an eventfd, which has no places
}

OomNotice open_oom_notice(Trace& trace, std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  const std::string path = cgroup_path(root_id, leaf);
  OomNotice notice;
  if (const std::string v1 = host.v1("memory"); !v1.empty()) {
    // cgroup-v1/memory.rst, "OOM Control".
    const std::string group = v1 + "/" + path;
    const Fd control = open_file(AT_FDCWD, group + "/memory.oom_control");
    notice.fd = Fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!notice.fd) throw Error{"make an eventfd", errno};
    write_value(trace, AT_FDCWD, group + "/cgroup.event_control", fmt::format("{} {}", notice.fd.get(), control.get()));
    notice.events = POLLIN;
  } else if (auto events = find_file(AT_FDCWD, host.v2 + "/" + path + "/memory.events")) {
    notice.fd = std::move(*events);
    notice.events = POLLPRI;
    notice.read_anew();
  }
  return notice;
}

} // namespace conductor::kernel
