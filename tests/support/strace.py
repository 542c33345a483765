"""An independent witness of what a verb did to the kernel: strace, read as a list of calls, against what --explain told.

Calls are compared in two ways. Those that change mounts, namespaces, processes and identities are told one by one, so
of each name no more may be made than told. Those that change files may be told by the dozen ("unlink everything below
X"), so there each changed path must stand in what was told, or below one that stands there.
"""
import collections
import json
import os
import re
import subprocess
import time
from pathlib import PurePath

# Told one by one.
COUNTED = ["mount", "umount2", "pivot_root", "clone3", "setns", "unshare", "fsopen", "fsconfig", "fsmount", "open_tree",
           "move_mount", "mount_setattr", "sethostname", "chroot", "setsid", "setgroups", "setresuid", "setresgid", "keyctl",
           "seccomp", "bpf", "pidfd_send_signal", "fork", "clone", "vfork"]
# Change files: a path must have been told.
FILES = ["mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
         "symlinkat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "lchown", "truncate",
         "ftruncate", "fallocate", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "fremovexattr", "bind",
         "open", "openat", "openat2"]
# Told calls that stand for others below the paths in them, and for which.
REMOVING = ("unlink", "unlinkat", "rmdir")
WHOLE_TREES = {"remove_tree": REMOVING, "copy": FILES, "unpack": FILES, "spawn": FILES}

# What is no change: locks end with their holder (core/store/lock.cpp, core/container/log_writer.cpp), these devices keep
# nothing, a stream opened once more is the same stream, and so is a file under the name that it has until it is renamed
# to the one that was told. And a log is written by the keeper for the container, as long as that runs.
NO_CHANGE = re.compile(r"/(\.?lock|lock-[0-9a-f]{64}|log/writer|log/log)$|^/dev/(null|tty|ptmx|pts/.*)$|^/proc/self/fd/\d+$"
                       r"|/\.[0-9a-f]{16}\.tmp$|^(pipe|socket|anon_inode):")

class Call:
    """One call of one of conductor's own processes: when (seconds since 1970), its name, the rest of strace's line."""

    def __init__(self, time_s, name, text, result):
        self.time_s, self.name, self.text, self.result = time_s, name, text, result

    def paths(self):
        """The paths that it changes: names at directories, else the file of its descriptor, else what is absolute."""
        if self.name.startswith("open") and not re.search(r"O_CREAT|O_WRONLY|O_RDWR|O_TRUNC", self.text):
            return []
        if self.name == "bind":  # by the descriptor of the directory, which strace does not follow there
            return re.findall(r'sun_path="/proc/self/fd/\d+(/[^"]*)"', self.text)
        found = [os.path.normpath(os.path.join(place, name))
                 for place, name in re.findall(r'(?:AT_FDCWD|\d+)<([^>]*)>, "([^"]*)"', self.text)]
        if not found and (descriptor := re.match(r"\d+<([^>]*)>", self.text)):
            found = [descriptor.group(1)]
        return found or re.findall(r'"(/[^"]*)"', self.text)

    def __repr__(self):
        return f"{self.name}({self.text}"


class Run:
    """A verb under strace, with `input` as its stdin: its exit status, what it told (`events`), what it printed besides, and `untold`, what it did
    without telling, one line each.

    Conductor's own calls count until the verb's end. A keeper goes on after that, with nobody to tell it to, and so does
    what removes things behind a verb; both are told when they are cloned. When the verb has ended, all containers are
    removed, since strace waits for the last keeper. What the commands inside do is theirs, and so are their children.
    """

    def __init__(self, conductor, *arguments, input=""):
        directory, printed = conductor.directory / "strace", conductor.directory / "told"
        directory.mkdir()
        # -D: strace is not the parent of the verb but its grandchild, so we see the verb's end, and strace's by its stdout.
        command = ["strace", "-D", "-ff", "--decode-pids=pidns", "-qq", "-y", "-ttt", "-s", "4096", "-o", str(directory / "of"), "-e", "signal=none",
                   "-e", "trace=execve," + ",".join(COUNTED + FILES), *conductor.command("--explain=json", *arguments)]
        (conductor.directory / "input").write_text(input)
        with open(conductor.directory / "input") as given, open(printed, "w") as told:
            process = subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=told,
                                       env=conductor.environment_under_strace())
        self.status = process.wait(timeout=60)
        conductor.remove_containers()
        process.communicate(timeout=60)
        lines = printed.read_text().splitlines()
        self.events = [json.loads(line) for line in lines if line.startswith("{")]
        self.printed = "\n".join(line for line in lines if not line.startswith("{"))
        # strace shows the wall clock only, the stream the monotonic one.
        end = self.events[-1]["time_us"] / 1e6 + time.time() - time.monotonic() if self.events else 0
        texts = {int(file.suffix[1:]): file.read_text(errors="replace") for file in directory.iterdir()}
        theirs = {child for text in texts.values() for child in children_of_others(text)}
        while more := {child for pid in theirs for child in children(texts.get(pid, ""))} - theirs:
            theirs |= more
        self.processes = {pid: own_calls(text, end) for pid, text in texts.items() if pid not in theirs}
        self.untold = list(compare(self.processes, [event for event in self.events if event["event"] == "call_began"]))


def children(text):
    """The pids, as strace numbers them, of the processes that one has made."""
    return [int(outer or inner) for inner, outer in
            re.findall(r" (?:clone3?|v?fork)\(.* = (\d+)(?: /\* (\d+) in strace's PID NS \*/)?$", text, re.M)]


def children_of_others(text):
    """Those that it made after it had become a program that is not conductor."""
    for found in re.finditer(r" execve\((.*) = 0$", text, re.M):
        if "/conductor" not in found.group(1).split(",")[0]:
            return children(text[found.end():])
    return []


def own_calls(text, end):
    """The calls of one process that succeeded before `end`, up to where it executes a program that is not conductor. To
    make a thread changes nothing."""
    calls = []
    for line in text.splitlines():
        found = re.match(r"([\d.]+) (\w+)\((.*) = (-?\w+)", line)
        if not found:  # killed in the middle of a call, or one that does not return
            continue
        call = Call(float(found.group(1)), *found.group(2, 3, 4))
        if call.result == "-1" or call.time_s > end or "CLONE_THREAD" in call.text:
            continue
        if call.name == "clone3" and "CLONE_VFORK" in call.text:  # posix_spawn(3), told as one call with the whole run
            call.name = "spawn"
        if call.name != "execve":
            calls.append(call)
        elif "/conductor" not in call.text.split(",")[0]:
            break
    return calls


def compare(processes, told):
    """processes: pid -> its calls; told: the call_began events. Yields what was done and not told."""
    clones = sorted((call for calls in processes.values() for call in calls if call.name == "clone3"), key=lambda c: c.time_s)
    texts = [event["call"] for event in told if event["name"] == "clone3"]
    behind = {int(clone.result) for clone, text in zip(clones, texts) if text.endswith(" behind us")}
    calls = [call for pid, calls in processes.items() if pid not in behind for call in calls]
    count = collections.Counter(event["name"] for event in told)
    for name, made in collections.Counter(call.name for call in calls if call.name in [*COUNTED, "spawn"]).items():
        if made > count[name]:
            yield f"{name}: made {made} times, told {count[name]} times"
    known = Told(told)
    for call in calls:
        if call.name in FILES:
            yield from (f"{path}: {call}" for path in call.paths() if not NO_CHANGE.search(path) and not known.cover(call, path))


class Told:
    """The paths in what was told."""

    def __init__(self, told):
        self.single, self.trees = set(), []
        for event in told:
            text = event["call"] + " " + event["by_hand"]
            paths = {os.path.normpath(path) for path in re.findall(r'(?<![\w.])/[^\s"\'(),]*', text)}
            self.single |= paths
            self.trees += [(path + "/", WHOLE_TREES[event["name"]]) for path in paths if event["name"] in WHOLE_TREES]
            if event["name"] == "copy":  # it makes the directories on the way
                self.single |= {str(parent) for path in paths for parent in PurePath(path).parents}
            if event["name"] == "bind":
                self.single |= {"/" + PurePath(path).name for path in paths}

    def cover(self, call, path):
        # A file system that is mounted nowhere yet has its paths from its own root: /dev/null is /null then.
        return any(p in self.single or any(p.startswith(tree) and call.name in calls for tree, calls in self.trees)
                   for p in (path, "/dev" + path))
