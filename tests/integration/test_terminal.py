"""Containers on a terminal: its size, its keys, leaving and coming back; and what happens without one."""
import os
import re
import signal

import pytest
from support.screen import Screen
from support.waiting import wait_until

SHELL = ["--", "sh"]


def shell(box, *options, rows=24, columns=80):
    """A shell in the container `web` on a terminal of that size, at its prompt."""
    screen = box.screen("run", *options, box.image, "web", *SHELL, rows=rows, columns=columns)
    screen.wait_for_text("#")
    return screen


def type_line(screen, text):
    screen.send(text + "\r")


def wait_for_line(screen, text):
    """Until a whole line is that text: the echo of a typed command is more than its output."""
    screen.wait_for(lambda: text in screen.lines, what=f"the line {text!r}")


def under_a_shell(box, *arguments):
    """A verb under a shell with job control, as a person starts it; it prints the settings before and after."""
    screen = Screen(["bash", "--norc", "--noprofile", "-c", 'stty -g; "$@"; echo "status $?"; stty -g', "bash",
                     *box.command(*arguments)], columns=200, environment=box.environment)
    box.screens.append(screen)
    return screen


# ---- the terminal inside

def test_run_from_a_terminal_has_a_terminal_of_the_same_size(box):
    screen = shell(box, rows=31, columns=97)
    type_line(screen, "stty size; tty")
    wait_for_line(screen, "31 97")
    screen.wait_for(lambda: any(re.fullmatch(r"/dev/(pts/\d+|console)", line) for line in screen.lines))


def test_size_is_followed(box):
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 1000 & wait; done"
    screen = box.screen("run", box.image, "web", "--", "sh", "-c", script, rows=24, columns=80)
    wait_for_line(screen, "ready")
    screen.resize(40, 133)
    wait_for_line(screen, "40 133")


def test_ctrl_c_interrupts_the_command_inside_and_not_the_container(box):
    screen = shell(box)
    type_line(screen, "sleep 1000; echo interrupted=$?")
    wait_until(lambda: len(box.json("top", "web")) == 2, 10, "sleep runs")
    screen.press("C-c")
    type_line(screen, "echo still $((40+2))")
    wait_for_line(screen, "still 42")
    assert box.state("web") == "running"


def test_job_control_works_in_the_shell_inside(box):
    screen = shell(box)
    type_line(screen, "sleep 1000")
    wait_until(lambda: len(box.json("top", "web")) == 2, 10, "sleep runs")
    screen.press("C-z")
    screen.wait_for_text("Stopped")
    type_line(screen, "jobs | grep -c sleep")
    wait_for_line(screen, "1")
    assert {p["state"] for p in box.json("top", "web") if "sleep" in p["command"]} == {"T"}
    type_line(screen, "fg")
    wait_until(lambda: "T" not in {p["state"] for p in box.json("top", "web")}, 10, "it goes on")
    screen.press("C-c")
    type_line(screen, "echo back $((40+2))")
    wait_for_line(screen, "back 42")


def test_end_of_input_ends_the_shell(box):
    screen = shell(box)
    screen.press("C-d")
    assert screen.wait() == 0


def test_status_of_the_command_comes_back(box):
    screen = shell(box)
    type_line(screen, "exit 7")
    assert screen.wait() == 7


def test_signal_that_ended_the_command_comes_back(box):
    screen = shell(box)
    box.ok("kill", "web")
    assert screen.wait() == 137


def test_all_output_arrives_before_the_end(box):
    screen = box.screen("run", "--rm", box.image, "--", "sh", "-c", "seq 1 20000; echo the end", rows=10)
    assert screen.wait() == 0
    assert screen.lines[8] == "the end" and screen.lines[7] == "20000"


# ---- the terminal outside

def test_callers_settings_are_as_before_after_the_end(box):
    screen = under_a_shell(box, "run", "--rm", box.image, *SHELL)
    screen.wait_for_text("#")
    type_line(screen, "exit 3")
    assert screen.wait() == 0
    assert "status 3" in screen.lines
    before, after = settings(screen)
    assert before == after


def test_callers_settings_are_as_before_after_sigterm(box):
    screen = under_a_shell(box, "run", box.image, "web", *SHELL)
    screen.wait_for_text("#")
    (verb,) = children(screen.pid)
    os.kill(verb, signal.SIGTERM)
    # A shell ignores it, as PID 1 would: what ends the container then is somebody who means it.
    box.ok("stop", "-t", "0", "web")
    screen.wait_for_text("status ")
    screen.wait()
    before, after = settings(screen)
    assert before == after


def settings(screen):
    """The terminal settings that stty -g printed before and after the verb. The line editor of a shell asks where the
    cursor is, and a late answer may stand before the second."""
    return [found[0] for line in screen.lines if (found := re.search(r"[0-9a-f]+(:[0-9a-f]+){20,}", line))]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


# ---- leaving and coming back

def test_detach_keys_leave_it_running_and_attach_comes_back(box):
    screen = under_a_shell(box, "run", "-i", box.image, "web", *SHELL)
    screen.wait_for_text("#")
    type_line(screen, "here=before")
    screen.press("C-p", "C-q")
    screen.wait_for_text("status 0")
    screen.wait()
    before, after = settings(screen)
    assert before == after
    assert box.state("web") == "running"
    again = box.screen("attach", "web", rows=30, columns=101)
    type_line(again, "echo $here $(stty size)")
    wait_for_line(again, "before 30 101")
    again.press("C-p", "C-q")
    assert again.wait() == 0
    assert box.state("web") == "running"


def test_attach_ends_with_the_status_of_the_container(box):
    box.ok("run", "-d", "-t", "-i", box.image, "web", *SHELL)
    screen = box.screen("attach", "web")
    type_line(screen, "exit 9")
    assert screen.wait() == 9
    box.wait_for_state("web", "exited")


def test_single_ctrl_p_reaches_the_program(box):
    box.ok("run", "-d", "-t", "-i", box.image, "web", "--", "sh", "-c", "stty raw -echo; echo ready; head -c 2 | od -c; sleep 1000")
    screen = box.screen("attach", "web")
    wait_until(lambda: "ready" in box.ok("logs", "web"), 10, "it reads")
    screen.press("C-p", "x")
    screen.wait_for_text("020")
    assert not screen.ended()


def test_two_attached_terminals_see_the_same(box):
    box.ok("run", "-d", "-t", "-i", box.image, "web", *SHELL)
    one, two = box.screen("attach", "web"), box.screen("attach", "web")
    for each in (one, two):  # the shell draws its prompt for whoever comes
        each.wait_for_text("#")
    type_line(one, "echo $((40+2)) for all")
    wait_for_line(one, "42 for all")
    wait_for_line(two, "42 for all")


def test_attached_terminal_that_is_killed_leaves_the_container(box):
    box.ok("run", "-d", "-t", "-i", box.image, "web", *SHELL)
    screen = box.screen("attach", "web")
    type_line(screen, "echo $((40+2))")
    wait_for_line(screen, "42")
    screen.signal(signal.SIGKILL)
    screen.wait()
    again = box.screen("attach", "web")
    type_line(again, "echo again $((40+2))")
    wait_for_line(again, "again 42")


# ---- exec

@pytest.fixture
def web(box):
    box.ok("run", "-d", box.image, "web", "--", "sleep", "1000")
    return box


def test_exec_on_a_terminal_has_one_of_the_containers_own(web):
    screen = web.screen("exec", "-t", "web", *SHELL, rows=33, columns=111)
    screen.wait_for_text("#")
    type_line(screen, "stty size; tty; ls /dev/pts")
    wait_for_line(screen, "33 111")
    screen.wait_for(lambda: any(re.fullmatch(r"/dev/pts/\d+", line) for line in screen.lines))
    screen.resize(20, 90)
    type_line(screen, "stty size")
    wait_for_line(screen, "20 90")
    type_line(screen, "exit 5")
    assert screen.wait() == 5
    assert web.state("web") == "running"


def test_exec_gives_the_terminal_back_as_it_was(web):
    screen = under_a_shell(web, "exec", "-t", "web", *SHELL)
    screen.wait_for_text("#")
    type_line(screen, "stty raw; exit 4")
    screen.wait_for_text("status 4")
    screen.wait()
    before, after = settings(screen)
    assert before == after


def test_exec_whose_terminal_closes_ends(web):
    screen = web.screen("exec", "-t", "web", *SHELL)
    screen.wait_for_text("#")
    screen.close()
    wait_until(lambda: len(web.json("top", "web")) == 1, 10, "the shell is gone")
    assert web.state("web") == "running"


def test_session_is_listed_left_and_found_again(web):
    session = web.ok("exec", "-t", "-d", "--session", "web", *SHELL).strip()
    assert re.fullmatch("[0-9a-f]+", session)
    assert session in web.ok("sessions", "web")
    screen = web.screen("attach", "web", "--session", session, rows=28, columns=99)
    screen.wait_for_text("#")
    type_line(screen, "here=before")
    screen.press("C-p", "C-q")
    assert screen.wait() == 0
    again = web.screen("attach", "web", "--session", session, rows=22, columns=88)
    type_line(again, "echo $here $(stty size)")
    wait_for_line(again, "before 22 88")
    type_line(again, "exit 6")
    assert again.wait() == 6
    wait_until(lambda: web.json("sessions", "web") == [], 10, "the session is gone")


def test_session_survives_the_death_of_its_terminal(web):
    session = web.ok("exec", "-t", "-d", "--session", "web", *SHELL).strip()
    screen = web.screen("attach", "web", "--session", session)
    type_line(screen, "here=before; echo set $((40+2))")
    wait_for_line(screen, "set 42")
    screen.signal(signal.SIGKILL)
    screen.wait()
    again = web.screen("attach", "web", "--session", session)
    type_line(again, "echo $here")
    wait_for_line(again, "before")


def test_sessions_end_with_their_container(web):
    web.ok("exec", "-t", "-d", "--session", "web", *SHELL)
    web.ok("stop", "--keep", "-t", "0", "web")
    assert web.json("sessions") == []


# ---- without a terminal

def test_without_a_terminal_the_streams_are_apart_and_nothing_is_translated(box):
    done = box.run("run", "--rm", box.image, "--", "sh", "-c", "echo out; echo err >&2; test -t 1 || echo none")
    assert (done.stdout, done.stderr) == ("out\nnone\n", "err\n")


def test_exec_keeps_the_streams_apart(web):
    done = web.run("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_standard_input_reaches_an_interactive_command(web):
    assert web.run("exec", "-i", "web", "--", "cat", input="one\ntwo\n").stdout == "one\ntwo\n"
    assert web.run("run", "--rm", "-i", web.image, "--", "wc", "-c", input="x" * 300_000).stdout.strip() == "300000"


def test_binary_data_passes_unchanged(web):
    data = bytes(range(256)) * 64
    verb = web.start("exec", "-i", "web", "--", "cat", text=False)
    assert verb.communicate(data, timeout=20)[0] == data


def test_input_of_a_detached_container_comes_from_attach(box):
    box.ok("run", "-d", "-i", box.image, "web", "--", "sh", "-c", "read line; echo got $line")
    done = box.run("attach", "web", input="hello\n")
    assert "got hello\n" == done.stdout
    box.wait_for_state("web", "exited")
