"""The program under test, with a root and a run directory of its own."""
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import host
from .screen import Screen
from .waiting import PATIENCE, wait_until

TOP = Path(__file__).resolve().parent.parent.parent


def program_path():
    """The conductor to test: $CONDUCTOR_PROGRAM, else the release or the debug build."""
    candidates = [os.environ.get("CONDUCTOR_PROGRAM"), TOP / "build/release/conductor", TOP / "build/debug/conductor"]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate).absolute()
    raise FileNotFoundError(f"no conductor to test: {', '.join(str(c) for c in candidates if c)}")


class Conductor:
    """Runs verbs against one private root.

    `root` and `run_directory` lie below `directory`, which is on a disk (/var/tmp; $CONDUCTOR_TEST_DIRECTORY names
    another place) and goes away with the test. `environment` is what each run sees; nothing of the caller's CONDUCTOR_*.
    """

    def __init__(self, directory=None):
        self.program = program_path()
        place = directory or os.environ.get("CONDUCTOR_TEST_DIRECTORY", "/var/tmp")
        self.directory = Path(tempfile.mkdtemp(prefix="ct-", dir=place))  # short: sockets have 107 characters
        self.root = self.directory / "root"
        self.run_directory = self.directory / "run"
        self.root_id = None
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONDUCTOR_")}
        self.environment.update(LC_ALL="C.UTF-8", TERM="xterm-256color", XDG_CONFIG_HOME=str(self.directory / "config"),
                                XDG_STATE_HOME=str(self.directory / "state"))
        # What the sanitizers find (preset sanitize) goes into files: of keepers and other children nobody reads stderr.
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            given = os.environ.get(name, "")
            self.environment[name] = f"{given}:log_path={self.directory}/sanitizer".lstrip(":")
        self.screens = []

    def command(self, *arguments):
        """The argument list of one run, for tests that start it themselves."""
        return [str(self.program), "--root", str(self.root), "--run", str(self.run_directory), *map(str, arguments)]

    def environment_under_strace(self):
        """LeakSanitizer is a tracer itself, and a process can have but one."""
        return {**self.environment, "ASAN_OPTIONS": self.environment["ASAN_OPTIONS"] + ":detect_leaks=0"}

    def run(self, *arguments, timeout=60, input="", env=None, **options):
        """Runs a verb to its end; a CompletedProcess with text in stdout and stderr. Any exit status is fine."""
        done = subprocess.run(self.command(*arguments), input=input, timeout=timeout * PATIENCE, text=True, errors="replace",
                              capture_output=True, env={**self.environment, **(env or {})}, **options)
        self.id()  # known now, even if the test breaks the root later
        return done

    def ok(self, *arguments, **options):
        """As run, for verbs that must succeed; returns what they wrote on stdout."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def fails(self, *arguments, status=1, **options):
        """As run, for verbs that must fail with this status; returns what they wrote on stderr."""
        done = self.run(*arguments, **options)
        assert done.returncode == status, f"{arguments} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stderr

    def json(self, *arguments, **options):
        """The document that a verb prints with --json."""
        return json.loads(self.ok(*arguments, "--json", **options))

    def start(self, *arguments, env=None, **options):
        """Starts a verb and does not wait: a Popen with stdin, stdout and stderr as pipes, text."""
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return subprocess.Popen(self.command(*arguments), env={**self.environment, **(env or {})}, **{**pipes, **options})

    def screen(self, *arguments, rows=24, columns=80, env=None):
        """Starts a verb (the console without one) on a terminal of its own: a Screen."""
        screen = Screen(self.command(*arguments), rows, columns, {**self.environment, **(env or {})})
        self.screens.append(screen)
        return screen

    def state(self, name):
        """The state of a container by `ps -a`, or None where there is none."""
        return next((c["state"] for c in self.json("ps", "-a") if c["name"] == name), None)

    def wait_for_state(self, name, state, deadline=10.0):
        wait_until(lambda: self.state(name) == state, deadline, lambda: f"{name} is {self.state(name)}, not {state}")

    def busybox_image(self, name="box"):
        """Builds the image that most tests want: plain busybox. Returns its name."""
        file = self.directory / "Busyboxfile"
        file.write_text("FROM busybox\n")
        self.ok("build", name, file)
        return name

    # ---- the end of a test

    def id(self):
        """The random id of the root, which all that we make in the kernel carries; None before the first use."""
        if self.root_id is None and (file := self.root / "id").exists():
            self.root_id = file.read_text().strip()
        return self.root_id

    def leftovers(self):
        """What is left of this root on the host, one line each, and what the sanitizers found."""
        left = [f"found: {file.read_text()}" for file in self.directory.glob("sanitizer.*")]
        left += [f"process: {p}" for p in host.processes_using(self.root, self.run_directory)]
        left += [f"mount: {m}" for m in host.all_mounts() if str(self.directory) in m]
        if root_id := self.id():
            left += [f"cgroup: {c}" for c in host.cgroups(root_id)]
        containers = self.run_directory / "containers"
        left += [f"file: {f}" for f in (sorted(containers.iterdir()) if containers.is_dir() else [])]
        return left

    def remove_containers(self):
        """Removes every container, however it is."""
        for container in self.json("ps", "-a"):
            self.run("rm", "-f", container["name"])

    def close(self):
        """Ends the screens, removes all containers, and raises if anything of this root is left on the host."""
        for screen in self.screens:
            screen.close()
        try:
            if self.root.exists():
                self.remove_containers()
            wait_until(lambda: not self.leftovers(), 5, lambda: "gone:\n  " + "\n  ".join(self.leftovers()))
        finally:
            self.clear_by_force()

    def clear_by_force(self):
        """What a failed test left must not disturb the next one: kills, unmounts and deletes what carries this root's mark."""
        for line in host.processes_using(self.root, self.run_directory):
            pid = int(line.split()[0])
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
            wait_until(lambda: not os.path.exists(f"/proc/{pid}/exe") or is_zombie(pid), 5, f"{line} is dead")
        for mount in reversed(host.mounts()):
            point = mount.rsplit(" (", 1)[0]
            if point.startswith(str(self.directory)):
                subprocess.run(["umount", "-l", point], check=False)
        if root_id := self.id():
            for group in reversed(host.cgroups(root_id)):
                for pid in Path(group, "cgroup.procs").read_text().split():
                    os.kill(int(pid), 9)
                wait_until(lambda: remove_group(group), 5, f"the cgroup {group} is removed")
        # What a test has mounted there may be the host's own.
        if not any(mount.startswith(f"{self.directory}/") for mount in host.mounts()):
            shutil.rmtree(self.directory, ignore_errors=True)


def is_zombie(pid):
    try:
        return re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.M) is not None
    except OSError:
        return True


def remove_group(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
