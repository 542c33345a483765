// The rows. Options first, one table a verb; then the verbs in the order of the help, behind those of images.
#include "tui/command/verbs.h"

#include "tui/command/image_rows.h"
#include "tui/command/runs.h"

#include <algorithm>
#include <array>

namespace conductor::command {
namespace {

constexpr Option globals[] = {
    {"root", 0, "DIR", "images, layers and containers (CONDUCTOR_ROOT, else /var/lib/conductor)"},
    {"run", 0, "DIR", "what is true until the next boot (CONDUCTOR_RUN, else /run/conductor)"},
    {"json", 0, {}, "one JSON document on stdout; errors as JSON on stderr"},
    {"explain", 0, "json", "narrate every step and kernel call on stderr; =json: one JSON object a line", false, true},
    {"events", 0, "FD", "the event stream as JSON lines on this file descriptor"},
    {"gate", 0, "FD", "ask before each kernel call: read go, skip, abort or fail ERRNO from this file descriptor"},
    {"config", 0, "FILE", "the configuration (/etc/conductor/config.json)"},
    {"wait", 0, "SECONDS", "how long to wait for another operation on the same container (10)"},
    {"no-color", 0, {}, "no colours, as with NO_COLOR"},
    {"help", 'h', {}, "what the verb does and its options"},
    {"version", 0, {}, "the version"},
    {"continued", 0, {}, "the stream has its first line already", false, false, true},
};

constexpr Option ps_options[] = {
    {"all", 'a', {}, "also created and exited ones"},
    {"quiet", 'q', {}, "names only"},
    {"filter", 'f', "KEY=VALUE",
     "only rows whose KEY (name, image, state, health, label) has VALUE; a bare word looks at the name", true},
};

template <size_t first_count, size_t second_count>
constexpr auto joined(const Option (&first)[first_count], const Option (&second)[second_count])
{
  std::array<Option, first_count + second_count> all{};
  std::copy(std::begin(second), std::end(second), std::copy(std::begin(first), std::end(first), all.begin()));
  return all;
}

// What run begins with and update changes; "max" takes each away.
constexpr Option limit_options[] = {
    {"memory", 'm', "SIZE", "at most this much memory: 256M, 1G; max: no limit"},
    {"memory-swap", 0, "SIZE", "memory and swap together (twice --memory); max: all the swap there is"},
    {"memory-reservation", 0, "SIZE", "what it keeps when the host runs short"},
    {"cpus", 0, "N", "at most N cores: 0.5"},
    {"cpu-weight", 0, "1..10000", "its share where CPUs are short; 100 is everybody's"},
    {"cpuset", 0, "LIST", "the CPUs it may use: 0-3,5"},
    {"cpuset-mems", 0, "LIST", "the memory nodes it may use"},
    {"pids", 0, "N", "at most N processes"},
    {"io-weight", 0, "1..10000", "its share where disks with the scheduler bfq are busy; 100 is everybody's"},
    {"io-read-bps", 0, "DEVICE:RATE", "at most so many bytes read a second: /dev/vda:10M", true},
    {"io-write-bps", 0, "DEVICE:RATE", "at most so many bytes written a second", true},
    {"io-read-iops", 0, "DEVICE:RATE", "at most so many reads a second: /dev/vda:100", true},
    {"io-write-iops", 0, "DEVICE:RATE", "at most so many writes a second", true},
};

// create has them too, all but the first.
constexpr Option own_run_options[] = {
    {"detach", 'd', {}, "in the background; prints the name"},
    {"rm", 0, {}, "remove it when its command has ended"},
    {"tty", 't', {}, "a terminal, also when stdin is none"},
    {"interactive", 'i', {}, "keep stdin open"},
    {"env", 0, "K=V", "an environment variable", true},
    {"env-file", 0, "FILE", "environment variables, one K=V a line", true},
    {"volume", 'v', "SRC:DST[:ro]", "a directory or file of the host (/SRC, ./SRC), or a volume (NAME)", true},
    {"tmpfs", 0, "DST[:size=SIZE,mode=MODE]", "an empty file system in memory", true},
    {"mount", 0, "type=TYPE,src=SRC,dst=DST", "bind, volume or tmpfs, as docker spells these; readonly", true},
    {"read-only", 0, {}, "the root file system cannot be written"},
    {"workdir", 'w', "DIR", "where the command starts"},
    {"user", 'u', "USER[:GROUP]", "who runs the command: names or numbers"},
    {"hostname", 0, "NAME", "its host name (the container's name)"},
    {"label", 0, "K=V", "a label, for filters and scripts", true},
    {"oom-score-adj", 0, "-1000..1000", "who is ended first when the host runs out of memory: the highest"},
    {"shm-size", 0, "SIZE", "room in /dev/shm (64M)"},
    {"ulimit", 0, "NAME=SOFT[:HARD]", "a resource limit: nofile=1024:4096", true},
    {"cap-add", 0, "CAP", "give it a capability: NET_ADMIN, ALL", true},
    {"cap-drop", 0, "CAP", "take a capability away: NET_RAW, ALL", true},
    {"allow-new-privileges", 0, {}, "let setuid programs work"},
    {"seccomp", 0, "FILE|unconfined", "a filter of system calls instead of the default"},
    {"userns", 0, "auto|host", "auto: host ids of its own; host: root inside is root"},
    {"pid", 0, "private|host", "host: it sees the host's processes; with --userns host (private)"},
    {"ipc", 0, "private|host", "host: the host's shared memory, semaphores and queues (private)"},
    {"uts", 0, "private|host", "host: the host's own name (private)"},
    {"cgroupns", 0, "private|host", "host: it sees the host's whole tree of groups; with --userns host (private)"},
    {"mask", 0, "PATH", "a file or directory that it does not see, besides those of /proc and /sys", true},
    {"unmask", 0, "PATH|ALL", "of what is masked or read-only in /proc and /sys: not that; also a pattern, or all",
     true},
    {"device", 0, "PATH[:DST][:rwm]", "a device of the host, for reading, writing, making its node", true},
    {"pull", 0, "missing|always|never", "when to get the image: when it is not there, each time, never (missing)"},
    {"stop-signal", 0, "SIGNAL", "what stop sends first (SIGTERM)"},
    {"init", 0, {}, "a process of conductor's as PID 1, which passes signals on and reaps orphans"},
    {"restart", 0, "no|on-failure[:N]|always|unless-stopped", "when to start it again after its end; with -d (no)"},
    {"health-cmd", 0, "COMMAND",
     "a line for the shell that ends with 0 while the container is well, instead of the image's"},
    {"health-interval", 0, "TIME", "from one check to the next: 1m30s, 500ms (30s)"},
    {"health-timeout", 0, "TIME", "how long a check may take (30s)"},
    {"health-retries", 0, "N", "how many checks must fail in a row until it is unhealthy (3)"},
    {"health-start-period", 0, "TIME", "so long after the start no failure counts (0s)"},
    {"health-start-interval", 0, "TIME", "from one check to the next in that time (5s)"},
    {"no-healthcheck", 0, {}, "no checks, whatever the image says"},
    {"network", 0, "none|host", "none: its own, cut off but for what follows; host: the host's (none)"},
    {"internet", 0, {}, "it reaches the internet, as after addnetwork -i"},
    {"expose", 0, "INNER-OUTER", "its port INNER is the host's port OUTER: 80-8080, 53-5353/udp", true},
};
constexpr auto run_options = joined(own_run_options, limit_options);
constexpr std::span<const Option> create_options = std::span<const Option>{run_options}.subspan(1);

constexpr Option start_options[] = {
    {"boot", 0, {}, "those that a restart policy starts after a boot of the host, each once a boot"},
    {"internet", 0, {}, "it reaches the internet from now on, as after addnetwork -i"},
    {"expose", 0, "INNER-OUTER", "its port INNER is the host's port OUTER from now on: 80-8080", true},
};

constexpr Option addnetwork_options[] = {
    {"internet", 'i', {}, "it reaches the internet"},
    {"expose", 'e', "PORTS", "INNER[..INNER]-[ADDRESS:]OUTER[..OUTER][/tcp|/udp]: 80-8080, 53-127.0.0.1:5353/udp",
     true},
};
constexpr Option delnetwork_options[] = {
    {"internet", 'i', {}, "it reaches the internet no more"},
    {"expose", 'e', "PORTS", "no longer published, as addnetwork had it: 80-8080", true},
};

constexpr Option exec_options[] = {
    {"detach", 'd', {}, "in the background"},
    {"tty", 't', {}, "a terminal, also when stdin is none"},
    {"interactive", 'i', {}, "keep stdin open"},
    {"env", 0, "K=V", "an environment variable", true},
    {"workdir", 'w', "DIR", "where the command starts"},
    {"user", 'u', "USER[:GROUP]", "who runs it: names or numbers"},
    {"session", 0, {}, "keep the terminal when its viewer leaves; prints the session for attach"},
};

constexpr Option attach_options[] = {
    {"session", 0, "ID", "a session of exec --session instead of the container's own command"},
};

constexpr Option stop_options[] = {
    {"keep", 0, {}, "keep the container for start"},
    {"time", 't', "SECONDS", "grace between the stop signal and SIGKILL (10)"},
};

constexpr Option restart_options[] = {
    {"time", 't', "SECONDS", "grace between the stop signal and SIGKILL (10)"},
};

constexpr Option kill_options[] = {{"signal", 's', "SIGNAL", "the signal (SIGKILL)"}};
constexpr Option rm_options[] = {{"force", 'f', {}, "also when it runs"}};

constexpr Option cp_options[] = {
    {"archive", 'a', {}, "keep the owners' numbers"},
    {"follow-link", 'L', {}, "of a link that is named: copy what it leads to"},
};

constexpr Option volumes_options[] = {{"quiet", 'q', {}, "names only"}};

constexpr Option logs_options[] = {
    {"follow", 'f', {}, "go on as the container writes"},
    {"tail", 'n', "N", "only the last N lines"},
    {"since", 0, "TIME", "from then on: 10m, 2h, 2026-11-22T09:44:02Z"},
    {"until", 0, "TIME", "up to then"},
    {"timestamps", 't', {}, "each line with its time"},
};

constexpr Option events_options[] = {
    {"follow", 'f', {}, "go on as things happen"},
    {"tail", 'n', "N", "only the last N"},
    {"since", 0, "TIME", "from then on: 10m, 2h, 2026-11-22T09:44:02Z"},
    {"until", 0, "TIME", "up to then"},
    {"filter", 0, "KEY=VALUE",
     "only those whose KEY (name, id, verb, outcome, user) has VALUE; a bare word looks at the name", true},
};

constexpr Option console_options[] = {
    {"read-only", 0, {}, "only look: what changes things is hidden, and the rights to do so are given up"},
    {"plain", 0, {}, "lines instead of a screen: for screen readers and pipes; takes verbs as they are typed here"},
    {"theme", 0, "NAME",
     "colours: default, light, contrast, colorblind, projector, mono, or a file in ~/.config/conductor/themes"},
};
constexpr Option config_options[] = {{"console", 0, {}, "a file for the console's settings and keys, as they are now"}};
constexpr Option doctor_options[] = {{"fix", 0, {}, "settle what crashed operations left behind"}};
constexpr Option help_options[] = {{"man", 0, {}, "the manual page as roff: conductor help --man | man -l -"}};

constexpr Verb container_rows[] = {
    {.name = "run",
     .group = Group::running,
     .names = "IMAGE [NAME]",
     .help = "create and start a container",
     .more =
         "NAME is chosen if left out. The command is the image's unless one stands behind --, else /bin/bash, else "
         "/bin/sh. In the foreground the command has a terminal when stdin is one, and its exit status is conductor's.",
     .example = "run debian:bookworm web --memory 256M -- sleep 1000",
     .options = run_options,
     .least = 1,
     .most = 2,
     .takes_command = true,
     .own_status = true,
     .completes = "image",
     .run = run_run,
     .keys = {{"r", "run", "run", {}, Danger::changes, Needs::nothing}}},
    {.name = "create",
     .group = Group::running,
     .names = "IMAGE [NAME]",
     .help = "make a container without starting it; prints its name",
     .example = "create debian:bookworm web -- sleep 1000",
     .options = create_options,
     .least = 1,
     .most = 2,
     .takes_command = true,
     .completes = "image",
     .run = run_create},
    {.name = "start",
     .group = Group::running,
     .names = "[NAME...]",
     .help = "start created or exited containers in the background",
     .more = "--boot is for the service that the installation brings (systemctl enable conductor): it starts the "
             "containers with --restart always, and those with unless-stopped that nobody had stopped.",
     .example = "start web",
     .options = start_options,
     .most = any_number,
     .completes = "stopped",
     .run = run_start,
     .keys = {{"s", "start", "start", {}, Danger::changes, Needs::stopped}}},
    {.name = "exec",
     .group = Group::running,
     .names = "NAME",
     .help = "run a command in a running container",
     .more =
         "In all namespaces, cgroups and confinement of the container. The command is /bin/bash, else /bin/sh, unless "
         "one stands behind --.",
     .example = "exec web -- ps aux",
     .options = exec_options,
     .least = 1,
     .most = 1,
     .takes_command = true,
     .own_status = true,
     .completes = "running",
     .run = run_exec,
     .keys = {{"e", "shell", "shell", "--session", Danger::looks, Needs::running, "a shell in a pane"}}},
    {.name = "attach",
     .group = Group::running,
     .names = "NAME",
     .help = "connect this terminal to a running container's command, or to a session",
     .more = "Ctrl-P Ctrl-Q leaves and lets it run. When the command ends, its exit status is conductor's.",
     .example = "attach web",
     .options = attach_options,
     .least = 1,
     .most = 1,
     .completes = "running",
     .run = run_attach},
    {.name = "stop",
     .group = Group::running,
     .names = "NAME...",
     .help = "end containers and remove them, or keep them for start",
     .more =
         "The stop signal, then SIGKILL to all after the grace time; a PID 1 that neither catches nor waits for the "
         "signal is killed at once. Then everything of the container is removed, unless --keep is given.",
     .example = "stop web --keep",
     .options = stop_options,
     .least = 1,
     .most = any_number,
     .completes = "container",
     .run = run_stop,
     .keys = {{"S", "stop", "stop", "--keep", Danger::changes, Needs::active, "stop it and keep it for start"},
              {"D", "delete", "delete", {}, Danger::asks, Needs::container, "stop it and delete all that it wrote"}}},
    {.name = "kill",
     .group = Group::running,
     .names = "NAME...",
     .help = "send a signal to a container's command",
     .example = "kill web -s HUP",
     .options = kill_options,
     .least = 1,
     .most = any_number,
     .completes = "running",
     .run = run_kill,
     .keys = {{"K", "kill", "kill", {}, Danger::asks, Needs::active}}},
    {.name = "restart",
     .group = Group::running,
     .names = "NAME...",
     .help = "stop containers and start them again; those that do not run are started",
     .more = "As stop --keep and start: what it wrote stays, its memory does not.",
     .example = "restart web",
     .options = restart_options,
     .least = 1,
     .most = any_number,
     .completes = "container",
     .run = run_restart,
     .keys = {{"R", "restart", "restart", {}, Danger::changes, Needs::container}}},
    {.name = "pause",
     .group = Group::running,
     .names = "NAME...",
     .help = "let containers stand still, with all that they have in memory",
     .more = "Its processes get no time until unpause. stop, kill and rm -f end it as it is; exec is refused.",
     .example = "pause web",
     .least = 1,
     .most = any_number,
     .completes = "running",
     .run = run_pause,
     .keys = {{"F", "pause", "freeze", {}, Danger::changes, Needs::running}}},
    {.name = "unpause",
     .group = Group::running,
     .names = "NAME...",
     .help = "let paused containers go on where they were",
     .example = "unpause web",
     .least = 1,
     .most = any_number,
     .completes = "paused",
     .run = run_unpause,
     .keys = {{"F", "unpause", "go on", {}, Danger::changes, Needs::paused}}},
    {.name = "rename",
     .group = Group::running,
     .names = "OLD NEW",
     .help = "give a container another name",
     .more = "It may run. Its peers find it by the new name at once; a host name that was its name changes with it, "
             "which it sees itself at its next start.",
     .example = "rename web shop",
     .least = 2,
     .most = 2,
     .completes = "container",
     .run = run_rename,
     .keys = {{"n", "rename", "rename", {}, Danger::changes, Needs::container}}},
    {.name = "rm",
     .group = Group::running,
     .names = "NAME...",
     .help = "remove containers that do not run",
     .example = "rm web",
     .options = rm_options,
     .least = 1,
     .most = any_number,
     .completes = "stopped",
     .run = run_rm},
    {.name = "update",
     .group = Group::running,
     .names = "NAME...",
     .help = "change the limits of containers, also while they run",
     .more =
         "What is not named stays. max takes a limit away: --memory max, --io-read-bps /dev/vda:max. When the kernel "
         "refuses one of them, all stay as they were.",
     .example = "update web --memory 512M --cpus 2",
     .options = limit_options,
     .least = 1,
     .most = any_number,
     .completes = "container",
     .run = run_update},
    {.name = "wait",
     .group = Group::running,
     .names = "NAME",
     .help = "wait until it has ended; ends with its exit status",
     .example = "wait web",
     .least = 1,
     .most = 1,
     .own_status = true,
     .completes = "container",
     .run = run_wait},
    {.name = "cp",
     .group = Group::running,
     .names = "FROM TO",
     .help = "copy files between this host and a container",
     .more =
         "One of both is NAME:PATH. A copy into a directory gets the name it had; into a name that is not there yet, "
         "that name; DIR/. means what lies in DIR. - is a tar archive on stdin or stdout. The container may run, be "
         "paused or have ended; its volumes are seen. What comes in belongs to root inside, what goes out to you, and "
         "is no setuid program any more, unless --archive keeps the owners. A copy that fails or is interrupted leaves "
         "everything as it was.",
     .example = "cp site/. web:/var/www",
     .options = cp_options,
     .least = 2,
     .most = 2,
     .home = Home::images,
     .completes = "container",
     .run = run_exchange},

    {.name = "rmvolume",
     .group = Group::running,
     .names = "NAME...",
     .help = "delete volumes that no container uses, with all that lies in them",
     .example = "rmvolume data",
     .least = 1,
     .most = any_number,
     .completes = "volume",
     .run = run_rmvolume},

    {.name = "addnetwork",
     .group = Group::network,
     .names = "NAME",
     .help = "connect a container: to the host, to the internet, by published ports",
     .more = "Without options the host reaches it, and it the host. It may be called again, and the container may run: "
             "what is missing is added, and what is reachable now is said. PORTS names the container's port first; "
             "ports on ADDRESS only are reached there only.",
     .example = "addnetwork web -i -e 80-8080",
     .options = addnetwork_options,
     .least = 1,
     .most = 1,
     .completes = "container",
     .run = run_addnetwork,
     .keys = {{"a", "addnetwork", "addnetwork", {}, Danger::changes}}},
    {.name = "delnetwork",
     .group = Group::network,
     .names = "NAME",
     .help = "take ports, the internet or the whole network from a container",
     .more = "Without options everything goes, its peers too. Running connections that are no longer allowed end.",
     .example = "delnetwork web -e 80-8080",
     .options = delnetwork_options,
     .least = 1,
     .most = 1,
     .completes = "container",
     .run = run_delnetwork,
     .keys = {{{}, "delnetwork", "delnetwork", {}, Danger::changes}}},
    {.name = "peer",
     .group = Group::network,
     .names = "A B",
     .help = "let two containers talk to each other, also by name",
     .example = "peer web db",
     .least = 2,
     .most = 2,
     .completes = "container",
     .run = run_peer,
     .keys = {{"p", "peer", "peer", {}, Danger::changes}}},
    {.name = "unpeer",
     .group = Group::network,
     .names = "A B",
     .help = "two containers talk to each other no more",
     .example = "unpeer web db",
     .least = 2,
     .most = 2,
     .completes = "container",
     .run = run_unpeer,
     .keys = {{{}, "unpeer", "unpeer", {}, Danger::changes}}},
    {.name = "networks",
     .group = Group::network,
     .names = "",
     .help = "who is connected, to whom, by which address and port; what this host does to it",
     .example = "networks",
     .run = run_networks},

    {.name = "ps",
     .group = Group::looking,
     .names = "",
     .help = "list running and paused containers; -a: all",
     .example = "ps -a --filter state=exited",
     .options = ps_options,
     .run = run_ps},
    {.name = "inspect",
     .group = Group::looking,
     .names = "NAME",
     .help = "everything known about a container or an image, as JSON",
     .example = "inspect web",
     .least = 1,
     .most = 1,
     .completes = "container",
     .run = run_inspect,
     .keys = {{"i", "inspect", "inspect"}}},
    {.name = "diff",
     .group = Group::looking,
     .names = "NAME",
     .help = "the files of its image that a container has changed",
     .more =
         "A line each: A for added, C for changed (also where only owner, mode or time are others), D for deleted. A "
         "directory that something changed in is changed, too. What lies in volumes is no part of it.",
     .example = "diff web",
     .least = 1,
     .most = 1,
     .completes = "container",
     .run = run_diff},
    {.name = "volumes",
     .group = Group::looking,
     .names = "",
     .help = "list volumes: directories that containers share, and that outlive them",
     .more =
         "run -v NAME:DST makes the volume NAME when it is not there, with what the image has at DST. A VOLUME that an "
         "image asks for and nobody names belongs to its container, goes with it and is not listed.",
     .example = "volumes",
     .options = volumes_options,
     .run = run_volumes},
    {.name = "logs",
     .group = Group::looking,
     .names = "NAME",
     .help = "what a container has written",
     .example = "logs web -f --tail 20",
     .options = logs_options,
     .least = 1,
     .most = 1,
     .completes = "container",
     .run = run_logs,
     .keys = {{"l", "logs", "logs", "-f"}}},
    {.name = "top",
     .group = Group::looking,
     .names = "NAME",
     .help = "the processes of a running container",
     .example = "top web",
     .least = 1,
     .most = 1,
     .completes = "running",
     .run = run_top},
    {.name = "stats",
     .group = Group::looking,
     .names = "[NAME...]",
     .help = "CPU, memory, processes and traffic of running containers",
     .example = "stats",
     .most = any_number,
     .completes = "running",
     .run = run_stats},
    {.name = "sessions",
     .group = Group::looking,
     .names = "[NAME]",
     .help = "terminals that exec --session keeps, for attach",
     .example = "sessions web",
     .most = 1,
     .completes = "running",
     .run = run_sessions},
    {.name = "events",
     .group = Group::looking,
     .names = "",
     .help = "what happened to containers and images",
     .more = "Verbs are those of the command line, and exit. With --json --follow each line is an object.",
     .example = "events -f --filter verb=exit",
     .options = events_options,
     .run = run_events},

    {.name = "console",
     .group = Group::host,
     .names = "",
     .help = "the console; the same as conductor without a verb",
     .example = "console",
     .options = console_options,
     .home = Home::console,
     .run = run_console},
    {.name = "demo",
     .group = Group::host,
     .names = "",
     .help = "start two small containers and open the console on them",
     .example = "demo",
     .shows_progress = true,
     .run = run_demo},
    {.name = "doctor",
     .group = Group::host,
     .names = "",
     .help = "what this host can do, and what crashes left behind",
     .example = "doctor --fix",
     .options = doctor_options,
     .needs_root = false,
     .run = run_doctor},
    {.name = "config",
     .group = Group::host,
     .names = "",
     .help = "each value of the configuration, and where it came from",
     .more = "The console's own settings and keys: conductor config --console > ~/.config/conductor/config.json, then "
             "take away the slashes before what shall change.",
     .example = "config",
     .options = config_options,
     .needs_root = false,
     .run = run_config},
    {.name = "completion",
     .group = Group::host,
     .names = "SHELL",
     .help = "completion for bash, zsh or fish",
     .more = "bash: source <(conductor completion bash). zsh: source <(conductor completion zsh). fish: conductor "
             "completion "
             "fish | source.",
     .example = "completion bash",
     .least = 1,
     .most = 1,
     .needs_root = false,
     .completes = "shell",
     .run = run_completion},
    {.name = "version",
     .group = Group::host,
     .names = "",
     .help = "the version",
     .example = "version --json",
     .needs_root = false,
     .run = run_version},
    {.name = "help",
     .group = Group::host,
     .names = "[VERB]",
     .help = "all verbs, or one",
     .example = "help run",
     .options = help_options,
     .most = 1,
     .needs_root = false,
     .completes = "verb",
     .run = run_help},
};

// One table out of two files.
template <size_t First, size_t Second>
constexpr std::array<Verb, First + Second> joined(const Verb (&first)[First], const Verb (&second)[Second])
{
  std::array<Verb, First + Second> all{};
  std::copy(std::begin(first), std::end(first), all.begin());
  std::copy(std::begin(second), std::end(second), all.begin() + First);
  return all;
}
constexpr auto rows = joined(image_rows, container_rows);

} // namespace

std::span<const Verb> verbs() { return rows; }

std::span<const Option> global_options() { return globals; }

const Verb* find_verb(std::string_view name)
{
  for (const Verb& verb : rows)
    if (verb.name == name) return &verb;
  return nullptr;
}

std::string_view title(Group group)
{
  switch (group) {
  case Group::images: return "Images";
  case Group::running: return "Containers";
  case Group::network: return "Network";
  case Group::looking: return "Looking";
  case Group::host: return "This host and this program";
  }
  return "";
}

} // namespace conductor::command
