"""The user's own settings: keys, colours, questions, the mouse; read again whenever the file changes."""
import json
import os
from pathlib import Path

import pytest
from console.keys import open_console, row_of, select, shell
from support.waiting import wait_until


def test_a_file_that_comes_later_counts_and_when_it_goes_nothing_of_it_does(conductor):
    started(conductor, "web")
    screen = open_console(conductor)
    select(screen, "web")
    file = Path(conductor.environment["XDG_CONFIG_HOME"]) / "conductor/config.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"confirm": "off", "keys": {"list": {"logs": "L"}}}')
    screen.wait_for(lambda: "L logs" in screen.lines[-1], what="the key of the new file")
    file.unlink()
    screen.wait_for(lambda: "l logs" in screen.lines[-1], what="the key as it was")
    screen.press("D")
    screen.wait_for_text("delete web?")


@pytest.fixture
def settings(conductor):
    """settings(text or object) writes the file that the console reads."""
    directory = Path(conductor.environment["XDG_CONFIG_HOME"]) / "conductor"
    directory.mkdir(parents=True)

    def write(content):
        fresh = directory / "fresh"
        fresh.write_text(content if isinstance(content, str) else json.dumps(content))
        os.rename(fresh, directory / "config.json")  # as editors do
    return write


def started(conductor, *names):
    conductor.busybox_image()
    for name in names:
        conductor.ok("run", "box", name, "-d", "-t")


def test_a_key_of_the_users_own_does_it_and_hints_and_help_say_so(conductor, settings):
    started(conductor, "web")
    settings({"keys": {"list": {"stop": "X"}, "everywhere": {"prefix": "Ctrl-A"}, "panes": {"zoom": "Z"}}})
    screen = open_console(conductor)
    select(screen, "web")
    assert "X stop" in screen.lines[-1] and "S stop" not in screen.lines[-1]
    screen.press("S")
    shell(screen)
    screen.wait_for_text("^A commands")
    screen.press("C-a", "Z")
    screen.wait_until_gone("CONTAINERS")
    screen.press("C-a", "Z", "C-a", "1")
    screen.wait_for_text("CONTAINERS")
    assert conductor.state("web") == "running"
    screen.press("X")
    conductor.wait_for_state("web", "exited", 30)


def test_a_file_that_changes_counts_at_once_and_what_is_wrong_is_told_with_its_line(conductor, settings):
    started(conductor, "web")
    screen = open_console(conductor)
    select(screen, "web")
    settings('{\n  "theme": "light",\n  "keys": {"list": {\n    "stop": "j",\n    "logs": "L",\n  }}\n}\n')
    screen.wait_for_text("config.json:4: 'j' for 'stop' is 'down' already; it keeps 'S'")
    screen.wait_for(lambda: "L logs" in screen.lines[-1], what="the new key in the hints")
    settings("{ nonsense")
    screen.wait_for_text("config.json:1: this is no JSON")
    screen.wait_for(lambda: "l logs" in screen.lines[-1], what="the key as it was")


@pytest.mark.parametrize("theme", ["contrast", "colorblind"])
def test_the_theme_of_the_settings_is_used(conductor, settings, theme):
    started(conductor, "web")
    settings({"theme": theme})
    screen = open_console(conductor)
    plain = open_console(conductor, "--theme", "default")
    row, column = screen.find("CONTAINERS")
    assert screen.cell(row, column).fg != plain.cell(row, column).fg


def test_without_questions_delete_deletes_and_with_all_of_them_stop_asks(conductor, settings):
    started(conductor, "one", "two")
    settings({"confirm": "off"})
    screen = open_console(conductor)
    select(screen, "one")
    screen.press("D")
    wait_until(lambda: conductor.state("one") is None)
    settings({"confirm": "all"})
    select(screen, "two")
    screen.press("S")
    screen.wait_for_text("stop two?")
    screen.press("Escape")
    screen.wait_until_gone("stop two?")
    assert conductor.state("two") == "running"


def test_the_mouse_goes_to_the_terminal_and_back(conductor, settings):
    started(conductor, "web")
    screen = open_console(conductor)
    assert "1002" in screen.display.private_modes
    screen.press("C-g", "m")
    screen.wait_for_text("the mouse is your terminal's")
    screen.wait_for(lambda: "1002" not in screen.display.private_modes, what="the mouse is given up")
    screen.press("C-g", "m")
    screen.wait_for(lambda: "1002" in screen.display.private_modes, what="the mouse is taken")
    settings({"mouse": False})
    screen.wait_for(lambda: "1002" not in screen.display.private_modes, what="the settings give it up")


def test_one_key_freezes_what_runs_and_lets_go_on_what_stands_still(conductor):
    started(conductor, "web")
    screen = open_console(conductor)
    select(screen, "web")
    screen.press("F")
    conductor.wait_for_state("web", "paused")
    screen.wait_for(lambda: "=" in row_of(screen, "web").split())
    screen.press("F")
    conductor.wait_for_state("web", "running")


def test_many_at_once_ask_for_their_number(conductor):
    names = [f"c{n}" for n in range(6)]
    started(conductor, *names)
    screen = open_console(conductor)
    select(screen, "c0")
    screen.press("*")
    screen.wait_for_text("6 marked")
    screen.press("F")
    screen.wait_for_text("freeze 6 containers?")
    screen.press("6", "Tab", "Enter")
    for name in names:
        conductor.wait_for_state(name, "paused", 20)
    screen.press("u")
    for name in names:
        conductor.wait_for_state(name, "running", 20)


def test_the_template_is_a_file_that_changes_nothing(conductor, settings):
    started(conductor, "web")
    settings(conductor.ok("config", "--console"))
    screen = open_console(conductor)
    select(screen, "web")
    screen.press("M")
    screen.wait_for_text("MESSAGES")
    assert not screen.find("config.json")
