"""--init: a process of conductor's is PID 1, and the command its child."""
import json
import os
import signal
import subprocess
from pathlib import Path

from support.gate import Gated
from support.waiting import wait_until


def inspect(box, name):
    return json.loads(box.ok("inspect", name))


def test_init_is_pid_1_and_confined_as_the_command(box):
    box.ok("run", "-d", "--init", "-u", "1000:1000", box.image, "web", "--", "sleep", "1000")
    assert [(p["pid"], p["command"].split()[0]) for p in box.json("top", "web")] == [(1, "init"), (2, "sleep")]
    pid = inspect(box, "web")["pid"]
    command = box.json("top", "web")[1]["host_pid"]

    def facts(process):
        wanted = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        links = {name: os.readlink(f"/proc/{process}/{name}") for name in ("root", "cwd")}
        return {**{key: lines[key].strip() for key in wanted}, **links, "limits": Path(f"/proc/{process}/limits").read_text(),
                "groups": Path(f"/proc/{process}/cgroup").read_text()}

    assert facts(pid) == facts(command)
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")} == {"/dev/null"}


def test_init_shows_nothing_of_the_host_inside(box):
    box.ok("run", "-d", "--init", "--label", "secret=word", box.image, "web", "--", "sleep", "1000")
    assert box.ok("exec", "web", "--", "cat", "/proc/1/cmdline").strip("\0") == "init"
    for how, what in (("cat", "exe"), ("cat", "mem"), ("cat", "environ"), ("cat", "maps"), ("ls", "fd/"), ("ls", "root/")):
        done = box.run("exec", "web", "--", how, f"/proc/1/{what}")
        assert done.returncode != 0 and done.stdout == "", what


def test_init_passes_signals_on_and_ends_as_the_command(box):
    box.ok("run", "-d", "--init", box.image, "web", "--", "sleep", "1000")
    assert box.ok("stop", "--keep", "web") == "web\n", "nobody had to be killed"
    assert next(c for c in box.json("ps", "-a"))["exit_code"] == 128 + signal.SIGTERM
    assert box.run("run", "--rm", "--init", box.image, "--", "sh", "-c", "exit 7").returncode == 7
    assert box.run("run", "--rm", "--init", box.image, "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert "no such program" in box.fails("run", "--rm", "--init", box.image, "--", "nonsense", status=127)


def test_init_reaps_orphans(box):
    box.ok("run", "-d", "--init", box.image, "web", "--", "sh", "-c",
           "for i in 1 2 3; do sh -c 'sleep 0.01 &'; done; echo begun; exec sleep 1000")
    wait_until(lambda: "begun" in box.ok("logs", "web"), 10, "they were begun")
    wait_until(lambda: len(box.json("top", "web")) == 2, 10, lambda: box.json("top", "web"))


def test_init_on_a_terminal_leaves_job_control_to_the_command(box):
    screen = box.screen("run", "--rm", "--init", box.image, "--", "sh")
    screen.wait_for_text("/ #")
    screen.send("sleep 1000\r")
    wait_until(lambda: any(p["command"] == "sleep 1000" for p in box.json("top", box.json("ps")[0]["name"])), 10, "it sleeps")
    screen.send("\x03")
    screen.send("echo $((6*7))\r")
    screen.wait_for_text("42")
    screen.send("exit 3\r")
    assert screen.wait() == 3


def test_program_that_waits_for_signals_with_sigwait_is_given_its_grace(box):
    """As tini does: its masks do not show it."""
    source = box.directory / "waits.c"
    source.write_text("#include <signal.h>\n#include <unistd.h>\nint main(void) { sigset_t s; int n; sigfillset(&s); "
                      "sigprocmask(SIG_SETMASK, &s, 0); write(1, \"ready\\n\", 6); sigwait(&s, &n); return 40 + n; }\n")
    subprocess.run(["cc", "-static", "-o", box.directory / "waits", source], check=True)
    box.ok("run", "-d", "-v", f"{box.directory}/waits:/waits:ro", box.image, "web", "--", "/waits")
    wait_until(lambda: "ready" in box.ok("logs", "web"), 10, "it waits")
    wait_until(lambda: Path(f"/proc/{inspect(box, 'web')['pid']}/syscall").read_text().startswith("128 "), 10, "it sleeps")
    assert box.ok("stop", "--keep", "web") == "web\n"
    assert next(c for c in box.json("ps", "-a"))["exit_code"] == 40 + signal.SIGTERM


def test_init_that_is_stopped_at_any_call_leaves_nothing(box):
    words = ["run", "--rm", "--init", box.image, "--", "true"]
    counting = Gated(box, *words)
    assert counting.drive(lambda call: "go")[0] == 0
    names = [call["name"] for call in counting.calls]
    second = names.index("clone3", names.index("clone3") + 1)
    for point in range(second, names.index("execve")):
        asked = []

        def decide(call):
            asked.append(call["name"])
            return "abort" if len(asked) == point + 1 else "go"

        # What runs side by side asks in any order: behind execve it is the end that was disturbed.
        status, _, error = Gated(box, *words).drive(decide)
        assert "execve" in asked[:point] or (status == 125 and error), asked
        assert box.json("ps", "-a") == [], asked
    wait_until(lambda: not box.leftovers(), 10, lambda: box.leftovers())
