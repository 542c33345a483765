"""Keys that change containers: the engine's state is checked as well as the screen."""
from console.keys import open_console, row_of, select, type_line


def started(conductor, *names):
    conductor.busybox_image()
    for name in names:
        conductor.ok("run", "box", name, "-d", "-t")
    return open_console(conductor)


def test_stop_keeps_and_undo_starts_again(conductor):
    screen = started(conductor, "web")
    select(screen, "web")
    screen.press("S")
    screen.wait_for_text("ok  stop web")
    conductor.wait_for_state("web", "exited")
    screen.wait_for(lambda: "o" in row_of(screen, "web").split())
    screen.press("u")
    conductor.wait_for_state("web", "running")
    screen.wait_for(lambda: "*" in row_of(screen, "web").split())


def test_a_stop_that_kills_says_why(conductor):
    conductor.busybox_image()
    for name in ("deaf", "other"):
        conductor.ok("run", "box", name, "-d", "--", "/bin/sleep", "1000")
    said = conductor.ok("stop", "other", "--keep").strip()
    reason = said.removeprefix("other ")
    assert reason.startswith("(killed: its PID 1 neither catches")
    screen = open_console(conductor)
    select(screen, "deaf")
    screen.press("S")
    screen.wait_for_text("ok  stop deaf")
    assert reason in screen.text
    screen.press("M")
    screen.wait_for_text("MESSAGES")
    assert screen.text.count(reason) == 2, "in the history and in the last line"


def test_start_runs_a_stopped_container(conductor):
    screen = started(conductor, "web")
    conductor.ok("stop", "web", "--keep")
    screen.wait_for_text("exit")
    screen.press("s")
    screen.wait_for_text("ok  start web")
    assert conductor.state("web") == "running"


def test_delete_asks_says_what_is_lost_and_cancels_by_default(conductor):
    screen = started(conductor, "web")
    conductor.ok("exec", "web", "--", "/bin/dd", "if=/dev/zero", "of=/big", "bs=1M", "count=3")
    select(screen, "web")
    screen.press("D")
    screen.wait_for_text("delete web?")
    screen.wait_for_text("Lost for good: 3.")
    screen.press("Enter")
    screen.wait_until_gone("delete web?")
    assert conductor.state("web") == "running"


def test_delete_deletes_when_it_is_chosen(conductor):
    screen = started(conductor, "web", "other")
    select(screen, "web")
    screen.press("D")
    screen.wait_for_text("delete web?")
    screen.press("Tab", "Enter")
    screen.wait_for_text("ok  delete web")
    assert conductor.state("web") is None
    assert conductor.state("other") == "running"
    screen.wait_for_text("1 up / 1")


def test_marks_take_an_action_to_several(conductor):
    screen = started(conductor, "a1", "a2", "b")
    select(screen, "a1")
    screen.press("Space", "Space")
    screen.wait_for_text("2 marked")
    screen.press("S")
    conductor.wait_for_state("a1", "exited", 20)
    conductor.wait_for_state("a2", "exited", 20)
    assert conductor.state("b") == "running"


def test_the_run_form_makes_a_container(conductor):
    screen = started(conductor)
    screen.wait_for_text("IMAGES 1")
    screen.press("r")
    screen.wait_for_text("RUN A CONTAINER")
    screen.send("bo")
    screen.press("Tab", "Tab")
    screen.send("Web")
    screen.wait_for_text("upper-case")
    screen.press("C-u")
    screen.send("web")
    screen.wait_for_text("$ conductor run box web -d -t")
    screen.press("Enter")
    screen.wait_for_text("ok  run box as web")
    assert conductor.state("web") == "running"
    screen.wait_for(lambda: row_of(screen, "web"))


def offer_of(screen, label):
    """What stands in the form's field: (typed, words that are offered behind it), told apart by their colours."""
    row, _ = screen.wait_for_text(">" + label)
    field = [cell for x in range(screen.display.columns) if (cell := screen.cell(row, x)).bg == "303030"]
    typed, offered = ("".join(cell.data if cell.fg == colour else " " for cell in field) for colour in ("ffffff", "8a8a8a"))
    return typed.strip(), offered.split()


def test_what_a_form_offers_does_not_look_typed(conductor):
    screen = started(conductor)
    screen.wait_for_text("IMAGES 1")
    screen.press("r")
    screen.wait_for_text("RUN A CONTAINER")
    screen.wait_for(lambda: offer_of(screen, "image") == ("", ["box", "(Right)"]))
    assert screen.find("$ conductor run '' -d")
    screen.press("b")
    screen.wait_for(lambda: offer_of(screen, "image") == ("b", ["ox", "(Tab)"]))
    screen.press("Tab")
    screen.wait_for(lambda: offer_of(screen, "image") == ("box", []))
    screen.press("C-u", "Right")
    screen.wait_for_text("$ conductor run box -d")


def test_without_colours_an_offer_stands_in_brackets(conductor):
    conductor.busybox_image()
    screen = open_console(conductor, rows=24, columns=80, env={"NO_COLOR": "1"})
    screen.press("r")
    screen.wait_for_text("[box]  (Right)")
    screen.press("b")
    screen.wait_for_text("b[ox]  (Tab)")
    screen.press("Tab")
    screen.wait_until_gone("[ox]")
    screen.wait_for_text("$ conductor run box -d")


def next_field(screen):
    """Goes to the next field of a form; its label."""
    def current():
        return next(line.split(">")[1].split()[0] for line in screen.lines if "│ >" in line)
    before = current()
    screen.press("Down")
    screen.wait_for(lambda: current() != before)
    return current()


def test_the_run_form_offers_what_the_command_line_can(conductor):
    screen = started(conductor)
    screen.wait_for_text("IMAGES 1")
    screen.press("r")
    screen.wait_for_text("RUN A CONTAINER")
    screen.send("box")
    typed = {"name": "full", "command": "sleep 1000", "memory": "64M", "env": "A=1 B='x y'", "tmpfs": "/t", "label": "team=red",
             "volume": "/usr/share:/host:ro", "cap-drop": "ALL", "hostname": "inner"}
    while (label := next_field(screen)) != "image":
        screen.send(typed.pop(label, ""))
        if label in ("read-only", "rm"):
            screen.press("Space")
    assert not typed, typed
    screen.wait_for_text("--label team=red")
    screen.press("Enter")
    screen.wait_for_text("ok  run box as full")
    inspected = conductor.json("inspect", "full")["spec"]
    assert inspected["hostname"] == "inner" and dict(inspected["labels"]) == {"team": "red"} and inspected["read_only"]
    assert inspected["auto_remove"] and inspected["tmpfs"] == ["/t"]
    assert inspected["limits"]["memory_bytes"] == 64 << 20
    assert conductor.ok("exec", "full", "--", "/bin/sh", "-c", "echo $A$B; ls -d /host/doc; hostname") == "1x y\n/host/doc\ninner\n"


def test_the_run_form_says_what_the_engine_would_refuse(conductor):
    screen = open_console(conductor, rows=24, columns=80)
    screen.press("r")
    screen.wait_for_text("RUN A CONTAINER")
    screen.wait_for_text("more below")
    screen.send("busybox")
    while next_field(screen) != "cap-add":
        pass
    screen.wait_for_text("more above")
    screen.send("NET_ADMIM")
    screen.wait_for_text("no capability is named 'NET_ADMIM'")
    screen.press("Enter")
    screen.wait_until_quiet(0.1)
    assert screen.find("RUN A CONTAINER") and conductor.json("ps", "-a") == []


def test_the_build_form_shows_its_steps(conductor):
    screen = started(conductor)
    file = conductor.directory / "Conductorfile"
    file.write_text("FROM busybox\nRUN echo a voice from within\n")
    screen.press("b")
    screen.wait_for_text("BUILD AN IMAGE")
    screen.send("mine")
    screen.press("Down")
    screen.press("C-u")
    screen.send(str(file))
    screen.press("Enter")
    screen.wait_for_text("a voice from within", 30)
    screen.wait_for_text("done in", 30)
    assert [image["name"] for image in conductor.json("images") if image["name"].startswith("mine")]
    screen.press("q")
    screen.wait_for_text("[2] IMAGES 2")


def test_a_build_that_fails_says_where(conductor):
    screen = started(conductor)
    file = conductor.directory / "Conductorfile"
    file.write_text("FROM busybox\nFROMAGE brie\n")
    screen.press("b")
    screen.wait_for_text("BUILD AN IMAGE")
    screen.send("mine")
    screen.press("Down")
    screen.press("C-u")
    screen.send(str(file))
    screen.press("Enter")
    screen.wait_for_text("FROMAGE")
    screen.wait_for_text(":2")


def test_a_build_can_be_cancelled(conductor):
    screen = started(conductor)
    file = conductor.directory / "Conductorfile"
    file.write_text("FROM busybox\nRUN echo be''gun; sleep 1000\n")
    screen.press("b")
    screen.wait_for_text("BUILD AN IMAGE")
    screen.send("mine")
    screen.press("Down")
    screen.press("C-u")
    screen.send(str(file))
    screen.press("Enter")
    screen.wait_for_text("begun", 30)
    screen.press("c")
    screen.wait_for_text("cancelled", 30)
    assert not [image["name"] for image in conductor.json("images") if image["name"].startswith("mine")]


def test_the_steps_of_the_last_action_with_their_calls(conductor):
    screen = started(conductor, "web")
    select(screen, "web")
    screen.press("S")
    screen.wait_for_text("ok  stop web")
    screen.press("x")
    screen.wait_for_text("steps: stop web")
    screen.wait_for_text("conductor stop id:")


def test_an_error_is_the_engines_sentence(conductor):
    screen = started(conductor)
    screen.press("r")
    screen.wait_for_text("RUN A CONTAINER")
    screen.send("nosuchimage")
    screen.press("Enter")
    screen.wait_for_text("nosuchimage")
    screen.wait_for(lambda: any("hint:" in line or "no " in line for line in screen.lines[-2:]))


def test_messages_have_a_history(conductor):
    screen = started(conductor, "web")
    select(screen, "web")
    screen.press("S")
    screen.wait_for_text("ok  stop web")
    screen.press("M")
    screen.wait_for_text("MESSAGES")


def test_long_messages_are_read_to_their_end(conductor):
    conductor.busybox_image()
    screen = open_console(conductor, rows=24, columns=80)
    name = "nosuch" + "image" * 14
    screen.press("r")
    screen.wait_for_text("RUN A CONTAINER")
    screen.send(name)
    screen.press("Enter")
    screen.wait_for_text("there is no image")
    screen.press("M")
    screen.wait_for_text("MESSAGES")
    said = conductor.fails("run", name, "-d", status=125).strip().splitlines()
    words = " ".join(said[-2:]).replace("conductor: ", "", 1).split()
    shown = "".join("".join(line.strip("│ ").split()) for line in screen.lines)
    assert len(" ".join(words)) > 130
    assert "".join(words) in shown


def test_the_palette_finds_actions_by_name(conductor):
    screen = started(conductor, "web")
    select(screen, "web")
    screen.press(":")
    screen.wait_for_text("ACTIONS")
    type_line(screen, "theme")
    screen.wait_for_text("theme ")


def test_freeze_and_go_on_and_undo(conductor):
    screen = started(conductor, "web")
    select(screen, "web")
    screen.press("F")
    screen.wait_for_text("ok  freeze web")
    assert conductor.state("web") == "paused"
    screen.wait_for(lambda: "=" in row_of(screen, "web").split())
    screen.press("e")
    screen.wait_for_text("web is frozen; F lets it go on")
    screen.press("F")
    screen.wait_for_text("ok  go on web")
    assert conductor.state("web") == "running"
    screen.press("u")
    conductor.wait_for_state("web", "paused")


def test_restart_is_one_key(conductor):
    screen = started(conductor, "web")
    before = conductor.json("ps")[0]["pid"]
    select(screen, "web")
    screen.press("R")
    screen.wait_for_text("ok  restart web", 20)
    assert conductor.json("ps")[0]["pid"] not in (0, before)


def test_rename_asks_for_a_name_that_is_free_and_undo_gives_the_old_one_back(conductor):
    screen = started(conductor, "web", "db")
    select(screen, "web")
    screen.press("n")
    screen.wait_for_text("RENAME web")
    type_line(screen, "db")
    screen.wait_for_text("a container is called that already")
    screen.press("Backspace", "Backspace")
    type_line(screen, "shop")
    screen.wait_for_text("ok  rename web shop")
    assert conductor.state("shop") == "running" and conductor.state("web") is None
    screen.press("u")
    conductor.wait_for_state("web", "running")
