// Fuzzing seccomp profiles: any bytes give a filter or an Error that can be shown, and a filter is one that the kernel
// takes: it looks at the architecture first, jumps forwards to what is there, and ends with an answer.
#include "core/kernel/seccomp.h"
#include "fuzz/fuzzing.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

namespace {

using namespace conductor;
using namespace conductor::fuzz;
using namespace conductor::kernel;

void look_at(const SeccompFilter& filter)
{
  if (filter.size() < 4 || filter.size() > BPF_MAXINSNS) fail("a filter is too long or too short");
  if (filter[0].code != (BPF_LD | BPF_W | BPF_ABS) || filter[0].k != 4) fail("the architecture is not looked at first");
  for (std::size_t at = 0; at < filter.size(); ++at) {
    const sock_filter& step = filter[at];
    if (BPF_CLASS(step.code) == BPF_RET) continue;
    std::size_t furthest = at + 1;
    if (step.code == (BPF_JMP | BPF_JA))
      furthest += step.k;
    else if (BPF_CLASS(step.code) == BPF_JMP)
      furthest += std::max(step.jt, step.jf);
    if (furthest >= filter.size()) fail("a filter runs out of its end");
    if (BPF_CLASS(step.code) == BPF_LD && (step.k % 4 != 0 || step.k >= sizeof(seccomp_data)))
      fail("a load is outside");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  for (const CapabilitySet capabilities : {default_capabilities, all_capabilities})
    either_way([&] { look_at(seccomp_profile(text, "p", capabilities)); });
  return 0;
}
