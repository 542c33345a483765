"""Shells in panes beside the live list."""
import json
import os
import re
import signal
from pathlib import Path

from console.keys import open_console, row_of, select, shell, tool_image, type_line
from support.waiting import wait_until


def with_shell(conductor, rows=35, columns=120):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    screen = open_console(conductor, rows=rows, columns=columns)
    select(screen, "web")
    return shell(screen)


def remembered(conductor):
    """What is written down of how the console looks."""
    files = Path(conductor.environment["XDG_STATE_HOME"]).glob("conductor/console-*.json")
    return "".join(file.read_text() for file in files)


def test_a_shell_beside_the_live_list_has_80_columns(conductor):
    screen = with_shell(conductor)
    type_line(screen, "stty size; hostname")
    screen.wait_for_text("30 80")
    assert row_of(screen, "web"), "the list is still there"
    conductor.ok("run", "box", "late", "-d", "-t")
    screen.wait_for(lambda: row_of(screen, "late"), what="the list stays live")


def test_keys_belong_to_the_shell_except_the_prefix(conductor):
    screen = with_shell(conductor)
    type_line(screen, "echo q?D$((0+1)); cat > /typed")
    screen.wait_for_text("q?D1")
    screen.send("x\tS\x07\x07\r\x04")
    wait_until(lambda: conductor.run("exec", "web", "--", "/bin/cat", "/typed").stdout == "x\tS\x07\n")
    assert conductor.state("web") == "running"


def test_what_is_typed_before_the_shell_is_there_waits_for_it(conductor):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    screen = open_console(conductor)
    select(screen, "web")
    screen.send("eecho early-$((3*7))\r")
    screen.wait_for_text("early-21", 5)


def test_a_resize_reaches_the_program(conductor):
    screen = with_shell(conductor)
    type_line(screen, "stty size")
    screen.wait_for_text("30 80")
    screen.resize(24, 80)
    screen.wait_until_gone("CONTAINERS")
    type_line(screen, "stty size")
    screen.wait_for_text("19 78")


def test_a_shell_that_was_left_is_taken_up_with_its_screen(conductor):
    screen = with_shell(conductor)
    type_line(screen, "stay=here; echo mark-$stay")
    screen.wait_for_text("mark-here")
    screen.press("C-g", "d")
    screen.wait_for_text("runs on")
    screen.press("q")
    assert screen.wait() == 0
    screen = open_console(conductor)
    screen.wait_for_text("left, new")
    screen.press("4", "Enter")
    screen.wait_for_text("mark-here")
    type_line(screen, "echo again-$stay")
    screen.wait_for_text("again-here")


def test_shells_that_were_left_are_told_apart(conductor):
    screen = with_shell(conductor)
    for number, word in enumerate(("elder", "younger"), start=4):
        if number > 4:
            screen.press("C-g", "-")
            screen.wait_for_text(f"TYPING IN [{number}]")
        type_line(screen, f"name={word}; echo $name-")
        screen.wait_for_text(word + "-")
    screen.press("C-g", "d")
    screen.wait_for_text("TYPING IN [4]")
    screen.press("C-g", "d")
    screen.wait_for_text("[3] EVENTS")
    ids = {session["session"] for session in conductor.json("sessions")}
    screen.wait_for(lambda: sum("web: shell" in line and "left, new" in line for line in screen.lines) == 2)
    shown = [word for line in screen.lines if "left, new" in line for word in line.split() if word in ids]
    assert len(set(shown)) == 2
    screen.press("4", "j", "Enter")
    screen.wait_for_text("younger-")
    screen.wait_for(lambda: sum("left, new" in line for line in screen.lines) == 1)


def test_quitting_asks_and_leaves_the_shell_running(conductor):
    screen = with_shell(conductor)
    type_line(screen, "stay=here; echo mark-$stay")
    screen.wait_for_text("mark-here")
    screen.press("C-g", "1", "q")
    screen.wait_for_text("leave the console?")
    screen.press("Tab", "Enter")
    assert screen.wait() == 0
    screen = open_console(conductor)
    screen.wait_for_text("mark-here")
    screen.press("4")
    type_line(screen, "echo again-$stay")
    screen.wait_for_text("again-here")


def test_a_killed_console_leaves_the_shell_alive(conductor):
    screen = with_shell(conductor)
    type_line(screen, "stay=here; echo mark-$stay")
    screen.wait_for_text("mark-here")
    wait_until(lambda: '"session": ' in remembered(conductor))
    screen.signal(signal.SIGKILL)
    screen.wait()
    screen = open_console(conductor)
    screen.wait_for_text("TYPING IN")
    type_line(screen, "echo again-$stay")
    screen.wait_for_text("again-here")


def test_a_shell_that_ends_closes_its_pane(conductor):
    screen = with_shell(conductor)
    type_line(screen, "exit")
    screen.wait_for_text("has ended")
    screen.wait_for_text("[3] EVENTS")


def test_splitting_and_moving(conductor):
    screen = with_shell(conductor)
    screen.press("C-g", "-")
    screen.wait_for_text("[5] web")
    screen.wait_for_text("TYPING IN [5]")
    screen.press("C-g", "k")
    screen.wait_for_text("TYPING IN [4]")
    screen.press("C-g", "z")
    screen.wait_until_gone("CONTAINERS")
    screen.press("C-g", "z")
    screen.wait_for_text("CONTAINERS")


def test_shells_are_stacked_until_each_can_have_80_columns(conductor):
    screen = with_shell(conductor)
    screen.press("C-g", "|")
    screen.wait_for_text("TYPING IN [5]")
    screen.wait_for(lambda: sum("│/ #" in line for line in screen.lines) == 2)
    type_line(screen, "stty size")
    screen.wait_for_text("15 80")
    screen.resize(35, 201)
    screen.wait_for(lambda: "[4] web" in screen.lines[1] and "[5] web" in screen.lines[1] and "[1]" in screen.lines[1])
    type_line(screen, "stty size")
    screen.wait_for_text("30 80")
    screen.press("C-g", "h")
    screen.wait_for_text("TYPING IN [4]")
    type_line(screen, "stty size; echo left")
    screen.wait_for(lambda: sum(line.count("30 80") for line in screen.lines) == 2)
    screen.resize(35, 200)
    screen.wait_for(lambda: "[5] web" not in screen.lines[1])


def test_the_strip_of_keys_comes_to_those_who_wait(conductor):
    screen = with_shell(conductor)
    screen.press("C-g")
    screen.wait_for_text("^G then:")
    screen.wait_for_text("h Left left")
    screen.press("Escape")
    screen.wait_for_text("TYPING IN")


def test_scrolling_back_shows_what_has_gone(conductor):
    screen = with_shell(conductor)
    type_line(screen, "seq 1 200")
    screen.wait_for(lambda: any("200" == line.strip("│ ").split("│")[-1].strip() for line in screen.lines))
    screen.press("C-g", "[")
    screen.wait_for_text("mark lines")
    screen.press("g")
    screen.wait_for_text("seq 1 200")
    screen.press("q")
    screen.wait_until_gone("mark lines")


def test_at_80_columns_it_is_list_or_pane(conductor):
    screen = with_shell(conductor, rows=24, columns=80)
    assert not screen.find("CONTAINERS")
    screen.press("C-g", "1")
    screen.wait_for_text("CONTAINERS")
    screen.press("4")
    screen.wait_for_text("TYPING IN")


def test_at_80_columns_tab_swaps_list_and_pane(conductor):
    screen = with_shell(conductor, rows=24, columns=80)
    screen.press("C-g", "Tab")
    screen.wait_for_text("CONTAINERS")
    for _ in range(2):
        screen.press("Tab")
        screen.wait_for_text("TYPING IN [4]")
        assert not screen.find("CONTAINERS")
        screen.press("C-g", "1")
        screen.wait_for_text("CONTAINERS")
    screen.press("i")
    screen.wait_for_text("web: inspect")
    screen.press("Tab")
    screen.wait_for_text("CONTAINERS")
    screen.press("BackTab")
    screen.wait_for_text("web: inspect")


def test_beside_a_shell_the_list_uses_the_columns_it_has(conductor):
    screen = with_shell(conductor)
    header = screen.lines[2].split("│")[1].split()
    assert header[:3] == ["S", "NAME", "CPU%"] and "IMAGE" not in header, "39 columns"
    screen.resize(55, 200)
    screen.wait_for(lambda: screen.lines[2].split("│")[1].split() ==
                    "S NAME IMAGE UP CPU% last 60 s MEM PIDS RX/s TX/s".split())
    screen.wait_for_text("INTERFACE")  # and the details their tables
    type_line(screen, "stty size")
    screen.wait_for_text("50 80")


def test_colours_of_a_program_reach_the_terminal(conductor):
    screen = with_shell(conductor)
    type_line(screen, r"printf '\033[31mRE\033[0m\033[48;5;21mBL\033[0m\n'")
    row, column = screen.wait_for_text("REBL")
    assert screen.cell(row, column).fg == "red"
    assert screen.cell(row, column + 2).bg not in ("default", screen.cell(row, column).bg)


def test_vim_less_and_htop_work_in_a_pane(conductor):
    tool_image(conductor)
    screen = open_console(conductor)
    select(screen, "tools")
    shell(screen)
    type_line(screen, "vim.basic -u NONE /tmp/x")
    screen.wait_for_text('"/tmp/x" [New File]')
    screen.send("ihello vim")
    screen.press("Escape")
    type_line(screen, ":wq")
    screen.wait_for_text("/ #")
    assert conductor.ok("exec", "tools", "--", "/bin/cat", "/tmp/x") == "hello vim\n"
    type_line(screen, "seq 1 500 | less")
    screen.wait_for_text("standard input")
    screen.press("G")
    screen.wait_for_text("(END)")
    screen.wait_for_text("500")
    screen.press("q")
    type_line(screen, "htop")
    screen.wait_for_text("F10Quit")
    screen.press("F10")
    screen.wait_until_gone("F10Quit")


def test_a_flood_leaves_the_keys_quick(conductor):
    screen = with_shell(conductor)
    type_line(screen, "yes")
    screen.wait_for(lambda: sum("│y" in line for line in screen.lines) > 10)
    screen.press("C-c")
    screen.wait_for_text("/ #", 5)
    type_line(screen, "echo calm")
    screen.wait_for_text("calm", 5)


def test_closing_a_pane_ends_its_shell(conductor):
    screen = with_shell(conductor)
    type_line(screen, "echo pid-$$-")
    screen.wait_for_text("pid-")
    screen.press("C-g", "x")
    screen.wait_for_text("end this shell?")
    screen.press("Tab", "Enter")
    screen.wait_for_text("[3] EVENTS")
    wait_until(lambda: len(conductor.json("top", "web")) == 1)


def test_panes_order_divider_and_theme_are_there_again(conductor):
    screen = with_shell(conductor, rows=50, columns=230)
    type_line(screen, "echo first-$((1+1))")
    screen.wait_for_text("first-2")
    screen.press("C-g", "|")
    screen.wait_for_text("TYPING IN [5]")
    type_line(screen, "echo second-$((1+1))")
    screen.wait_for_text("second-2")
    screen.press("C-g", "1", "l")
    screen.wait_for_text("[6] web: logs")
    screen.press("C-g", "1", "o", "T")
    screen.wait_for_text("theme ")
    theme = next(line.split()[1] for line in screen.lines if line.startswith(" theme "))
    screen.wait_for_text("sort CPU")

    def panes(screen):
        return [(y, match.start(), match.group()) for y, line in enumerate(screen.lines) for match in re.finditer(r"[┌┬├]\[\d\] [^─]*", line)]
    before = panes(screen)
    assert len(before) == 4
    screen.press("q")
    screen.wait_for_text("leave the console?")
    screen.press("Tab", "Enter")
    assert screen.wait() == 0
    screen = open_console(conductor, rows=50, columns=230)
    screen.wait_for_text("second-2")
    screen.wait_for(lambda: panes(screen) == before, what=f"the same panes: {before}")
    screen.wait_for_text("1 sh  ")
    assert screen.find("first-2") and screen.find("sort CPU")
    assert json.loads(remembered(conductor))["theme"] == theme


def test_another_console_keeps_the_shells_that_it_shows(conductor):
    screen = with_shell(conductor)
    type_line(screen, "echo mine-$((1+1))")
    screen.wait_for_text("mine-2")
    wait_until(lambda: '"session": ' in remembered(conductor))
    other = open_console(conductor)
    other.wait_for_text("[3] EVENTS")
    type_line(screen, "echo still-$((1+1))")
    screen.wait_for_text("still-2")


def test_what_cannot_be_read_is_as_if_it_were_not_there(conductor):
    screen = with_shell(conductor)
    wait_until(lambda: remembered(conductor))
    file = next(Path(conductor.environment["XDG_STATE_HOME"]).glob("conductor/console-*.json"))
    assert file.stat().st_mode & 0o777 == 0o600
    screen.press("C-g", "1", "q", "Tab", "Enter")
    screen.wait()
    good = json.loads(file.read_text())
    for text in ("", "{", "[]", json.dumps({**good, "shape": "(b50 4 4)", "sort": "x", "divider": 1e99, "shells": [1, {"pane": -3}], "logs": 5, "focused": 77})):
        file.write_text(text)
        screen = open_console(conductor)
        screen.wait_for_text("[3] EVENTS")
        screen.press("q")
        assert screen.wait() == 0
