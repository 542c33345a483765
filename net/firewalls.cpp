#include "net/firewalls.h"

#include "core/kernel/files.h"

#include <fcntl.h>

namespace conductor::net {

Firewalls read_firewalls(Netlink& nft)
{
  const auto names = [](const char* file) { return kernel::find_content(AT_FDCWD, file).value_or(""); };
  return {.chains = read_chains(nft),
          .legacy4 = names("/proc/thread-self/net/ip_tables_names"),
          .legacy6 = names("/proc/thread-self/net/ip6_tables_names")};
}

} // namespace conductor::net
