"""The user's terminal: what it must be, and that it is given back as it was on every way out."""
import os
import signal
from pathlib import Path

import pytest
from support.screen import Screen
from support.waiting import wait_until


def around(conductor, ending, env=None):
    """Runs the console in a shell, with the terminal's settings before and after; returns them and the screen."""
    before, after = conductor.directory / "before", conductor.directory / "after"
    command = " ".join(conductor.command("console"))
    screen = Screen(["/bin/sh", "-c", f"stty -g > {before}; {command}; echo status-$?; stty -g > {after}; sleep 1000"], 24, 80,
                    {**conductor.environment, **(env or {})})
    conductor.screens.append(screen)
    screen.wait_for_text("up / ")
    ending(screen)
    screen.wait_for_text("status-")
    wait_until(lambda: after.exists() and after.read_text())
    return before.read_text(), after.read_text(), screen


def console_pid(screen):
    """The console that the shell started."""
    def find():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as file:
                    stat = file.read()
                if stat.split(")")[-1].split()[1] == str(screen.pid) and "(conductor" in stat:
                    return int(pid)
            except OSError:
                continue
        return None
    return wait_until(find)


WAYS_OUT = {
    "q": lambda screen: screen.press("q"),
    "SIGTERM": lambda screen: os.kill(console_pid(screen), signal.SIGTERM),
    "SIGINT": lambda screen: os.kill(console_pid(screen), signal.SIGINT),
    "a crash": lambda screen: os.kill(console_pid(screen), signal.SIGSEGV),
    "an abort": lambda screen: os.kill(console_pid(screen), signal.SIGABRT),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_the_terminal_is_given_back(conductor, way):
    before, after, screen = around(conductor, WAYS_OUT[way])
    assert after == before
    assert screen.find("status-0") or way != "q"
    assert not screen.find("CONTAINERS"), "the alternate screen is left"
    assert not screen.display.cursor.hidden


def test_a_stopped_console_gives_the_terminal_back_and_takes_it_again(conductor):
    screen = conductor.screen("console", rows=24, columns=80)
    screen.wait_for_text("up / ")
    screen.signal(signal.SIGTSTP)
    screen.wait_until_gone("CONTAINERS")
    wait_until(lambda: Path(f"/proc/{screen.pid}/stat").read_text().split(")")[-1].split()[0] == "T")
    screen.signal(signal.SIGCONT)
    screen.wait_for_text("CONTAINERS")
    screen.press("q")
    assert screen.wait() == 0


def test_a_dumb_terminal_is_refused_with_a_sentence(conductor):
    screen = conductor.screen("console", env={"TERM": "dumb"})
    assert screen.wait() == 1
    assert "place the cursor" in screen.text
    assert "hint:" in screen.text


@pytest.mark.parametrize("term", ["xterm-256color", "xterm", "tmux-256color", "screen-256color", "linux", "vt100", "no-such-terminal"])
def test_terminals_of_all_kinds_show_the_list(conductor, term):
    screen = conductor.screen("console", rows=24, columns=80, env={"TERM": term})
    screen.wait_for_text("no containers yet")
    screen.press("q")
    assert screen.wait() == 0


def test_true_colour_without_a_terminfo_entry(conductor):
    screen = conductor.screen("console", "--theme", "light", rows=24, columns=80, env={"COLORTERM": "truecolor"})
    screen.wait_for_text("no containers yet")
    assert screen.cell(5, 5).bg == "fafafa"


def test_a_locale_that_is_missing_becomes_utf8(conductor):
    screen = conductor.screen("console", rows=24, columns=80, env={"LC_ALL": "", "LANG": ""})
    screen.wait_for_text("no containers yet")
    assert screen.find("┌")


def test_without_a_verb_it_is_the_console(conductor):
    screen = conductor.screen(rows=24, columns=80)
    screen.wait_for_text("no containers yet")
    screen.press("C-c", ":")
    screen.wait_for_text("ACTIONS")
    screen.press("Escape")
    screen.wait_until_gone("ACTIONS")
    screen.press("q")
    assert screen.wait() == 0


def test_without_a_terminal_it_is_a_sentence(conductor):
    done = conductor.run("console", start_new_session=True)
    assert done.returncode != 0
    assert "terminal" in done.stderr


def test_inside_tmux_it_looks_the_same(conductor, tmux):
    server = tmux(conductor.command("console"), rows=35, columns=120, environment=conductor.environment)
    server.wait_for_text("no containers yet")
    assert "[2] IMAGES 0" in server.text()
    server.press("?")
    server.wait_for_text("KEYS")


def test_the_whole_terminal_scrolls_again_afterwards(conductor):
    """Nothing of ours stays: the scroll region of a terminal is one of the things that outlive a program."""
    command = ["sh", "-c", '"$@"; seq 100 140; echo after', "sh", *conductor.command()]
    screen = Screen(command, rows=30, columns=100, environment=conductor.environment)
    conductor.screens.append(screen)
    screen.wait_for_text("no containers yet")
    screen.press("q")
    assert screen.wait() == 0
    assert screen.lines[:29] == [str(n) for n in range(113, 141)] + ["after"]
