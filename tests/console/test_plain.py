"""The console as lines, for screen readers and pipes: console --plain."""
import subprocess

from support.waiting import wait_until


def started(conductor, *names):
    conductor.busybox_image()
    for name in names:
        conductor.ok("run", "box", name, "-d", "--", "sleep", "1000")


def plain(conductor, typed, *options):
    return subprocess.run(conductor.command("console", "--plain", *options), input=typed, capture_output=True, text=True,
                          env=conductor.environment, timeout=60)


def test_on_a_terminal_it_lists_announces_and_takes_verbs(conductor):
    started(conductor, "web")
    screen = conductor.screen("console", "--plain", rows=40, columns=120)
    screen.wait_for_text("1 of 1 container is up:")
    screen.wait_for_text("web runs, up ")
    conductor.ok("run", "box", "late", "-d", "--", "sleep", "1000")
    screen.wait_for_text("new: late ")
    screen.wait_for_text("late runs")
    screen.send("stop --keep -t 0 'late'\r")
    screen.wait_for_text("late has ended: exit 137")
    screen.send("nonsense\r")
    screen.wait_for_text("status 2")
    screen.send("list\r")
    screen.wait_for_text("1 of 2 containers are up:")
    screen.send("exec -t web -- sh\r")
    screen.wait_for_text("/ #")
    screen.send("echo in-$((1+1))\rexit 3\r")
    screen.wait_for_text("in-2")
    screen.wait_for_text("status 3")
    screen.press("C-c")
    screen.send("pause web\r")
    screen.wait_for_text("web stands still")
    assert b"\x1b[" not in conductor.run("console", "--plain").stdout.encode()
    screen.send("quit\r")
    assert screen.wait() == 0


def test_from_a_pipe_it_does_what_it_reads_and_ends_with_it(conductor):
    started(conductor, "web")
    done = plain(conductor, "rename web shop\nps -q\nstop shop")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "1 of 1 container is up:" and lines[1].startswith("web runs, up ")
    assert "shop" in lines and "> " not in done.stdout
    assert plain(conductor, "").stdout == "There are no containers.\n"


def test_who_only_looks_changes_nothing(conductor):
    started(conductor, "web")
    done = plain(conductor, "stop -t 0 web\nlist\n", "--read-only")
    assert done.returncode == 1 and "this console only looks" in done.stdout
    assert sum(line.startswith("web runs") for line in done.stdout.splitlines()) == 2
    assert conductor.state("web") == "running"


def test_it_ends_with_its_reader(conductor):
    started(conductor, "web")
    plain = conductor.start("console", "--plain", stdin=subprocess.PIPE)
    assert plain.stdout.readline() == "1 of 1 container is up:\n"
    plain.stdout.close()
    conductor.ok("stop", "-t", "0", "web")
    wait_until(lambda: plain.poll() is not None)
    plain.stdin.close()
