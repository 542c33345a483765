// What other programs have and this one does not: rows, and the sentence that answers each.
#include "tui/command/text.h"
#include "tui/command/verbs.h"

#include <algorithm>
#include <iterator>

namespace conductor::command {
namespace {

constexpr std::string_view runs = "run create", limited = "run create update";

constexpr std::string_view ports =
    "a port is published by --expose INNER-OUTER: --expose 80-8080 for docker's -p 8080:80";

// What hands that are used to other programs type.
constexpr Elsewhere elsewhere[] = {
    {"run create exec", "-e", "an environment variable is --env K=V"},
    {runs, "-p", ports},
    {runs, "--publish", ports},
    {"addnetwork", "-p", "a port is published by -e INNER-OUTER: -e 80-8080 for docker's -p 8080:80"},
    {"addnetwork", "--publish", "a port is published by -e INNER-OUTER: -e 80-8080 for docker's -p 8080:80"},
    {runs, "--name", "the name stands behind the image: conductor run IMAGE NAME"},
    {runs, "--net", "did you mean '--network'?"},
    {limited, "--pids-limit", "did you mean '--pids'?"},
    {limited, "-c", "--cpu-weight 100 is docker's -c 1024"},
    {limited, "--cpu-shares", "--cpu-weight 100 is docker's --cpu-shares 1024"},
    {limited, "--cpu-quota", "--cpus 0.5 is docker's --cpu-quota 50000 --cpu-period 100000"},
    {limited, "--cpu-period", "--cpus 0.5 is docker's --cpu-quota 50000 --cpu-period 100000"},
    {limited, "--cpuset-cpus", "did you mean '--cpuset'?"},
    {limited, "--blkio-weight", "--io-weight 100 is what everybody has; docker's --blkio-weight goes from 10 to 1000"},
    {limited, "--device-read-bps", "did you mean '--io-read-bps'?"},
    {limited, "--device-write-bps", "did you mean '--io-write-bps'?"},
    {limited, "--device-read-iops", "did you mean '--io-read-iops'?"},
    {limited, "--device-write-iops", "did you mean '--io-write-iops'?"},
    {limited, "--memory-swappiness", "cgroup v2 has no swappiness: --memory-swap limits the swap"},
    {limited, "--oom-kill-disable",
     "cgroup v2 cannot; --oom-score-adj -1000 spares it when the host runs out of memory"},
    {"update", "--ulimit", "a process has them from its start on: stop, and run with --ulimit"},
    {"update", "--health-cmd", "it has its checks from its start on: stop, and run with --health-cmd"},
    {"update", "--oom-score-adj", "a process has it from its start on: stop, and run with --oom-score-adj"},
    {"update", "--shm-size", "/dev/shm is made at the start: stop, and run with --shm-size"},
    {runs, "--security-opt",
     "each has an option of its own: --seccomp, --mask, --unmask (ALL for systempaths=unconfined), "
     "--allow-new-privileges"},
    {runs, "--privileged", "there is no such switch: give what is needed with --cap-add, --device, --seccomp"},
    {"build", "-t", "the name stands behind the verb: conductor build NAME [FILE]"},
    {"build", "--tag", "the name stands behind the verb: conductor build NAME [FILE]"},
    {"build", "-f", "the file stands behind the name: conductor build NAME FILE"},
    {"build", "--file", "the file stands behind the name: conductor build NAME FILE"},
    {"volume", "", "did you mean 'volumes' or 'rmvolume'? run -v NAME:DST makes one"},
    {"list", "", "did you mean 'ps' or 'images'?"},
    {"ls", "", "did you mean 'ps' or 'images'?"},
    {"container", "", "the verbs stand alone: conductor ps, conductor rm"},
    {"image", "", "the verbs stand alone: conductor images, conductor rmi"},
    {"network", "", "did you mean 'networks', 'addnetwork' or 'peer'?"},
    {"port", "", "conductor networks shows the ports of each container"},
    {"shell", "", "did you mean 'exec'?"},
    {"delete", "", "did you mean 'rm' or 'rmi'?"},
    {"remove", "", "did you mean 'rm' or 'rmi'?"},
    {"info", "", "did you mean 'doctor' or 'config'?"},
};

} // namespace

const Elsewhere* find_elsewhere(std::string_view verb, std::string_view option)
{
  for (const Elsewhere& row : elsewhere)
    if (row.option == option && has_word(row.verb, verb)) return &row;
  return nullptr;
}

} // namespace conductor::command
