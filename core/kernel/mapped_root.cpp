#include "core/kernel/mapped_root.h"

#include "core/base/error.h"

#include <array>
#include <cerrno>

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

void raise_all_permitted()
{
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) < 0) throw Error{"read own capabilities", errno};
  for (auto& each : data) each.effective = each.permitted;
  if (::syscall(SYS_capset, &header, data.data()) < 0) throw Error{"raise own capabilities", errno};
}

} // namespace

AsMappedRoot::AsMappedRoot(uint32_t owner) : active_(owner != 0)
{
  if (!active_) return;
  ::prctl(PR_GET_PDEATHSIG, &death_signal_);
  ::setfsgid(owner);
  ::setfsuid(owner);
  raise_all_permitted();
}

AsMappedRoot::~AsMappedRoot()
{
  if (!active_) return;
  ::setfsuid(0);
  ::setfsgid(0);
  if (death_signal_ != 0) ::prctl(PR_SET_PDEATHSIG, death_signal_);
}

} // namespace conductor::kernel
