"""Looking: what the list shows at every size, and the keys that only look."""
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from console.keys import SIZES, open_console, row_of, select
from support.waiting import wait_until


def test_an_empty_console_says_what_to_press(conductor):
    screen = open_console(conductor)
    screen.wait_for_text("no containers yet")
    assert screen.find("r runs a container")
    assert screen.find("b builds an image from a file")


@pytest.mark.parametrize("rows,columns", SIZES)
def test_the_list_shows_state_and_name_at_every_size(conductor, rows, columns):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    conductor.run("run", "box", "job", "-d", "--", "/bin/sh", "-c", "exit 3")
    conductor.wait_for_state("job", "exited")
    screen = open_console(conductor, rows=rows, columns=columns)
    screen.wait_for_text("exit 3")
    assert "*" in row_of(screen, "web").split()
    assert "o" in row_of(screen, "job").split()
    assert screen.find("CPU%")
    for line in screen.lines:
        assert len(line) <= columns
    assert screen.find("? keys") or columns < 60


def test_at_120_columns_everything_has_its_panel(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t", "--memory", "64M", "--pids", "32")
    screen = open_console(conductor)
    for text in ("[1] CONTAINERS 1 up / 1", "[2] IMAGES 1", "[3] EVENTS", "PROCESSES", "INTERFACE", "LIMITS", "1 sh",
                 "127.0.0.1/8", "/64M", "pids 1/32", "web", "start"):
        screen.wait_for_text(text)


def test_an_unhealthy_container_is_marked_and_says_why(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "--health-interval", "50ms", "--health-cmd",
                 "test ! -e /ill || { printf 'no \\033[31manswer'; exit 1; }", "--", "sleep", "1000")
    for rows, columns in ((35, 120), (24, 80)):
        conductor.ok("exec", "web", "--", "rm", "-f", "/ill")
        screen = open_console(conductor, rows=rows, columns=columns)
        select(screen, "web")
        wait_until(lambda: "*" in row_of(screen, "web").split(), 20, screen.dump)
        conductor.ok("exec", "web", "--", "touch", "/ill")
        screen.wait_for_text("unhealthy, ", deadline=20)
        wait_until(lambda: "!" in row_of(screen, "web").split(), 20, screen.dump)
        wait_until(lambda: screen.find(r"failed in a row: no \x1b[31manswer"), 20, screen.dump)


def test_what_the_command_line_does_shows_at_once(conductor):
    conductor.busybox_image()
    screen = open_console(conductor)
    screen.wait_for_text("[2] IMAGES 1")
    conductor.ok("run", "box", "late", "-d", "-t")
    screen.wait_for_text("late", deadline=2)
    screen.wait_for_text("1 up / 1")
    conductor.ok("stop", "late")
    screen.wait_for_text("0 up / 0", deadline=2)


def test_help_is_printed_from_the_table_of_actions(conductor):
    screen = open_console(conductor)
    screen.press("?")
    screen.wait_for_text("stop it and keep it for start")
    screen.press("G")
    screen.wait_for_text("rows")
    screen.press("Escape")
    screen.wait_until_gone("goes back without doing anything")


def test_each_key_stands_in_the_help_once(conductor):
    screen = open_console(conductor, rows=70, columns=80)
    screen.press("?")
    screen.wait_for_text("panes, after Ctrl-G")
    lines = [line[2:-1].rstrip() for line in screen.lines]
    lists = lines[lines.index("lists") + 1:lines.index("panes, after Ctrl-G") - 1]
    keys = [line.split("  ")[0] for line in lists if not line.startswith(" ")]
    assert len(keys) > 30 and len(keys) == len(set(keys)), sorted(keys)
    at = next(index for index, line in enumerate(lists) if line.startswith("D  "))
    both = " ".join(" ".join(lists[at:at + 2]).split())
    assert both.startswith("D stop it and delete all that it wrote; in IMAGES: delete images")


def test_the_filter_keeps_rows_that_contain_it(conductor):
    conductor.busybox_image()
    for name in ("web-1", "web-2", "db"):
        conductor.ok("run", "box", name, "-d", "-t")
    screen = open_console(conductor)
    screen.wait_for_text("3 up / 3")
    screen.press("/", "web")
    screen.wait_for(lambda: not row_of(screen, "db") and row_of(screen, "web-1"))
    screen.press("Enter")
    screen.wait_for_text("filter /web")
    screen.press("Escape")
    screen.wait_for(lambda: row_of(screen, "db"))


def test_sorting_changes_the_order(conductor):
    conductor.busybox_image()
    for name in ("zeta", "alpha"):
        conductor.ok("run", "box", name, "-d", "-t")
    screen = open_console(conductor)
    screen.wait_for(lambda: screen.find("alpha") and screen.find("zeta") and screen.find("alpha") < screen.find("zeta"))
    screen.press("O")
    screen.wait_for(lambda: screen.find(" zeta ") < screen.find(" alpha "))
    screen.press("o")
    screen.wait_for_text("sort CPU")


def test_resizing_goes_from_one_layout_to_the_next(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    screen = open_console(conductor)
    screen.wait_for_text("[3] EVENTS")
    for rows, columns in [(24, 80), (10, 40), (6, 30), (35, 120)]:
        screen.resize(rows, columns)
        screen.wait_for(lambda: row_of(screen, "web"), what="the list")
    screen.wait_for_text("[3] EVENTS")


def test_logs_are_followed_and_controls_are_shown(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "--", "/bin/sh", "-c",
                 r"printf 'first\n\033[2Jwiped?\n'; while [ ! -e /go ]; do sleep 0.1; done; echo second; sleep 1000")
    screen = open_console(conductor)
    select(screen, "web")
    screen.press("l")
    screen.wait_for_text("web: logs")
    screen.wait_for_text(r"\x1b[2Jwiped?")
    assert screen.find("first")
    conductor.ok("exec", "web", "--", "/bin/touch", "/go")
    screen.wait_for_text("second")
    screen.press("q")
    screen.wait_until_gone("web: logs")


def test_inspect_is_json_in_a_pane(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    screen = open_console(conductor)
    select(screen, "web")
    screen.press("i")
    screen.wait_for_text("web: inspect")
    screen.wait_for_text('"name": "web"')


def test_a_hostile_command_cannot_write_to_the_terminal(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "--", "/bin/sh", "-c", "sleep 1000; : '\x1b]0;owned\x07\x1b[41m'")
    screen = open_console(conductor)
    select(screen, "web")
    screen.wait_for_text(r"\x1b]0;")


def test_themes_change_at_a_key(conductor):
    screen = open_console(conductor)
    screen.wait_for_text("no containers yet")
    assert screen.find("┌")
    seen = set()
    for _ in range(6):
        screen.press("T")
        name = screen.wait_for(lambda: next((line.split()[1] for line in screen.lines if line.startswith(" theme ")
                                             and line.split()[1] not in seen), None))
        seen.add(name)
        if name == "projector":
            screen.wait_for(lambda: screen.lines[1].startswith("+"), what="ASCII borders")
    assert seen == {"colorblind", "contrast", "default", "light", "mono", "projector"}


def test_without_colour_there_is_none(conductor):
    screen = conductor.screen("console", rows=24, columns=80, env={"NO_COLOR": "1"})
    received = b""
    screen.wait_for_text("no containers yet")
    screen.press("T")
    screen.wait_for_text("theme ")
    received += screen.read(0.1)
    colours = {screen.cell(y, x).fg for y in range(24) for x in range(80)} | {screen.cell(y, x).bg for y in range(24) for x in range(80)}
    assert colours == {"default"}


def test_held_still_it_writes_nothing(conductor):
    screen = open_console(conductor)
    screen.press("Z")
    screen.wait_for_text("held still")
    screen.wait_until_quiet(0.5)
    before = screen.bytes_received
    screen.wait_until_quiet(2.5)
    assert screen.bytes_received == before


def test_read_only_hides_what_changes_things(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    screen = open_console(conductor, "--read-only")
    screen.wait_for_text("read-only")
    select(screen, "web")
    screen.press("S")
    screen.wait_for_text("only looks")
    screen.press("?")
    screen.wait_for_text("KEYS")
    assert not screen.find("stop it and keep it for start")
    assert conductor.state("web") == "running"


def identities(screen):
    """What each thread of the console may do, from /proc/PID/task/TID/status."""
    fields = []
    for status in Path(f"/proc/{screen.pid}/task").glob("*/status"):
        fields.append(dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line))
    return fields


def test_read_only_has_given_up_the_rights_to_change_things(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t", "--", "/bin/sh", "-c", "echo a line; sleep 1000")
    conductor.ok("exec", "web", "-d", "-t", "--session")
    screen = open_console(conductor, "--read-only")
    screen.wait_for_text("left, new")
    threads = identities(screen)
    assert len(threads) >= 2
    only_read_files = f"{1 << 2:016x}"  # CAP_DAC_READ_SEARCH
    for thread in threads:
        assert thread["Uid"].split() == thread["Gid"].split() == ["65533"] * 4 and thread["Groups"].strip() == ""
        assert thread["CapPrm"] == thread["CapEff"] == only_read_files
        assert int(thread["CapBnd"], 16) == int(thread["CapInh"], 16) == int(thread["CapAmb"], 16) == 0
        assert thread["NoNewPrivs"] == "1"

    # It looks as before: figures, processes, interfaces, what changes meanwhile, logs, inspect.
    select(screen, "web")
    for text in ("1 sleep 1000", "2 /bin/sh", "127.0.0.1", "pids 2"):
        screen.wait_for_text(text)
    screen.wait_for(lambda: not screen.find("No such process") and not screen.find("ermission"))
    conductor.ok("run", "box", "late", "-d", "-t")
    screen.wait_for_text("late", deadline=2)
    conductor.ok("stop", "late")
    screen.wait_for_text("1 up / 1", deadline=2)
    screen.press("l")
    screen.wait_for_text("a line")
    screen.press("q")
    screen.wait_until_gone("web: logs")
    screen.press("i")
    screen.wait_for_text('"name": "web"')
    screen.press("q")
    screen.wait_until_gone("web: inspect")
    screen.press("4", "Enter")
    screen.wait_for_text("only looks")
    screen.press("q")
    assert screen.wait() == 0


def test_who_only_looks_can_read_the_state_and_not_change_it(conductor):
    """What the kernel refuses to a process that has given up what the read-only console has."""
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    session = conductor.ok("exec", "web", "-d", "-t", "--session").strip()
    web = conductor.json("inspect", "web")
    socket = conductor.run_directory / "c" / web["id"] / "sessions" / f"{session}.sock"
    group = next(Path("/sys/fs/cgroup").rglob(f"{web['id']}/cgroup.procs"))
    script = f"""
import os, signal, socket
directory = {web['directory']!r}
assert '"web"' in open(directory + "/spec.json").read()
def refused(act):
    try:
        act()
    except PermissionError:
        return
    raise AssertionError(act)
refused(lambda: open(directory + "/spec.json", "a"))
refused(lambda: os.unlink(directory + "/spec.json"))
refused(lambda: os.kill({web['keeper']}, signal.SIGTERM))
refused(lambda: os.kill({web['pid']}, signal.SIGTERM))
refused(lambda: open("{group}", "w"))
refused(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect("{socket}"))
refused(lambda: os.readlink("/proc/{web['pid']}/ns/mnt"))
"""
    looker = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups", "--no-new-privs", "--inh-caps", "-all,+dac_read_search",
              "--ambient-caps", "-all,+dac_read_search", "--bounding-set", "-all,+dac_read_search"]
    subprocess.run([*looker, sys.executable, "-c", script], check=True, timeout=20)


def test_a_click_selects_and_the_wheel_moves(conductor):
    conductor.busybox_image()
    for name in ("a1", "a2", "a3"):
        conductor.ok("run", "box", name, "-d", "-t")
    screen = open_console(conductor)
    screen.wait_for_text("3 up / 3")
    row, _ = screen.wait_for_text("a3")
    screen.send(f"\x1b[<0;10;{row + 1}M\x1b[<0;10;{row + 1}m")
    screen.wait_for(lambda: ">" in row_of(screen, "a3")[:3])
    screen.send(f"\x1b[<64;10;{row + 1}M")
    screen.wait_for(lambda: ">" in row_of(screen, "a2")[:3])


def test_enough_panels_at_80_columns_by_their_numbers(conductor):
    conductor.busybox_image()
    screen = open_console(conductor, rows=24, columns=80)
    screen.press("2")
    screen.wait_for_text("[2] IMAGES 1")
    screen.press("3")
    screen.wait_for_text("[3] EVENTS")
    screen.press("1")
    screen.wait_for_text("DETAILS")


def test_an_idle_console_sleeps(conductor):
    conductor.busybox_image()
    for number in range(3):
        conductor.ok("run", "box", f"web-{number}", "-d", "-t")
    screen = open_console(conductor)
    screen.wait_for_text("3 up / 3")

    def switches():
        total = 0
        for status in Path(f"/proc/{screen.pid}/task").glob("*/status"):
            total += int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("voluntary")))
        return total

    begun, before = time.monotonic(), switches()
    screen.wait_for(lambda: time.monotonic() - begun > 4)
    assert switches() - before <= 3 * 4 + 4, "three wake-ups a second, and one each for what is still settling"


def test_logs_of_marked_containers_come_in_the_order_of_time_with_their_names(conductor):
    conductor.busybox_image()
    for name in ("one", "two"):
        conductor.ok("run", "box", name, "-d", "-v", f"{conductor.directory}:/d", "--", "/bin/sh", "-c",
                     f"n=0; while [ $n -lt 40 ]; do while [ ! -e /d/{name}.$n ]; do sleep 0.02; done; echo {name} says $n; n=$((n+1)); done; sleep 1000")
    said = []
    for n in range(3):
        for name in ("two", "one"):
            (conductor.directory / f"{name}.{n}").write_text("")
            said.append(f"{name} says {n}")
            wait_until(lambda: said[-1] in conductor.ok("logs", name))
    screen = open_console(conductor)
    select(screen, "one")
    screen.press("*", "l")
    screen.wait_for_text("one, two: logs")
    screen.wait_for_text("two says 2")
    shown = [line.split("│")[2].strip() for line in screen.lines if " says " in line]
    assert [line.split(None, 1) for line in shown] == [[text.split()[0], text] for text in said]
    (conductor.directory / "two.3").write_text("")
    screen.wait_for_text("two says 3")


def test_logs_with_their_times_since_some_time_and_saved(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "--", "/bin/sh", "-c", r"seq 1 5000; printf 'odd \033[2J\n'; sleep 1000")
    wait_until(lambda: "odd" in conductor.ok("logs", "web"))
    screen = open_console(conductor)
    select(screen, "web")
    screen.press("l")
    screen.wait_for_text("5000")
    screen.press("t")
    screen.wait_for(lambda: any(re.search(r"│\d\d:\d\d:\d\d 5000 ", line) for line in screen.lines), what="the times")
    screen.press("t", "@", *"soon", "Enter")
    screen.wait_for_text("'soon' ")
    screen.press("@", *"all", "Enter", "g")
    screen.wait_for(lambda: any(re.search(r"│1 +│", line) for line in screen.lines), what="the first line")
    path = conductor.directory / "saved"
    screen.press(">", *str(path), "Enter")
    screen.wait_for_text("saved 5001 lines")
    assert path.read_text() == "".join(f"{n}\n" for n in range(1, 5001)) + "odd \\x1b[2J\n"
    assert path.stat().st_mode & 0o777 == 0o600
    screen.press(">", *str(path), "Enter")
    screen.wait_for_text("File exists")
