"""What is on this host, read from the kernel and never from conductor: mounts, links, cgroups, processes, namespaces, files.

Used in two ways: the census (tests/census.py) compares everything before and after a test run; the `conductor` fixture
asks what is left of one root.
"""
import os
import re
import socket
from pathlib import Path


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError:  # the process has ended
        return b""


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def mounts(pid="self"):
    """The mounts that a process sees, as `mount point (type source)`."""
    found = []
    for line in _read(f"/proc/{pid}/mountinfo").decode(errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        kind, source = right.split(" ")[:2]
        found.append(f"{left.split(' ')[4]} ({kind} {source})")
    return found


def all_mounts():
    """The mounts of every mount namespace that some process is in."""
    namespaces = {}
    for pid in pids():
        if name := _link(f"/proc/{pid}/ns/mnt"):
            namespaces.setdefault(name, pid)
    return sorted({mount for pid in namespaces.values() for mount in mounts(pid)})


def links():
    return sorted(name for _, name in socket.if_nameindex())


def cgroup_hierarchies():
    """Where the cgroup hierarchies of this host are mounted, v1 and v2."""
    points = {m.split(" (")[0] for m in mounts() if re.search(r"\(cgroup2? ", m)}
    # Hierarchies can be mounted twice (cpu and cpu,cpuacct as links); one name each is enough.
    return sorted({os.path.realpath(point) for point in points})


def cgroups(root_id=None):
    """Our groups (`.../conductor/ROOT-ID[/...]`) in every hierarchy; of one root only, if one is given."""
    found = []
    for hierarchy in cgroup_hierarchies():
        for directory, names, _ in os.walk(hierarchy):
            parts = directory.split("/")
            if "conductor" in parts[:-1]:
                if root_id in (None, parts[parts.index("conductor") + 1]):
                    found.append(directory)
            elif parts[-1] == "conductor" and root_id:
                names[:] = [name for name in names if name == root_id]
    return sorted(found)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/status").read_text().split("PPid:")[1].split()[0])


def is_gone(pid):
    """No such process, or one that only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def describe(pid):
    command = _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return f"{pid} {command or _read(f'/proc/{pid}/comm').decode(errors='replace').strip()}"


def conductor_processes():
    """Processes that are conductor, by the name of their program or their first word."""
    found = []
    for pid in pids():
        program = os.path.basename(_link(f"/proc/{pid}/exe").removesuffix(" (deleted)"))
        first_word = os.path.basename(_read(f"/proc/{pid}/cmdline").split(b"\0")[0].decode(errors="replace"))
        if re.match(r"conductor\b(?!-unit|-fuzz)", program) or re.match(r"conductor\b(?!-unit|-fuzz)", first_word):
            found.append(describe(pid))
    return sorted(found)


def processes_using(*directories):
    """Processes that name one of these directories in their arguments or environment, or stand in it: working
    directory, root, program, an open file. The caller and its parents excepted."""
    wanted = tuple(str(d) for d in directories)
    mine = set()
    pid = os.getpid()
    while pid > 1:
        mine.add(pid)
        pid = int(re.search(rb"\nPPid:\t(\d+)", _read(f"/proc/{pid}/status")).group(1))
    found = []
    for pid in set(pids()) - mine:
        words = _read(f"/proc/{pid}/cmdline") + b"\0" + _read(f"/proc/{pid}/environ")
        places = [_link(f"/proc/{pid}/{name}") for name in ("cwd", "root", "exe")]
        try:
            places += [_link(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            pass
        if any(d.encode() in words or any(place.startswith(d) for place in places) for d in wanted):
            found.append(describe(pid))
    return sorted(found)


def namespaces():
    """Every namespace that some process is in, or that a file holds (nsfs mounts), as `kind:[inode]`."""
    found = set()
    for pid in pids():
        for kind in ("mnt", "net", "pid", "uts", "ipc", "user", "cgroup", "time"):
            if name := _link(f"/proc/{pid}/ns/{kind}"):
                found.add(name)
    return sorted(found)


def files(*places):
    """Everything below these places (two levels deep is enough to see that something is left)."""
    found = []
    for place in places:
        top = Path(place)
        for path in [top, *top.glob("*"), *top.glob("*/*")]:
            if path.exists() or path.is_symlink():
                found.append(str(path))
    return sorted(found)
