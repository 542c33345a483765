"""The first session of README.md in the console: its build file, taken from the page itself, built, run, and htop on
the screen of a shell in a pane."""
import re
import shutil
from pathlib import Path

import pytest
from console.keys import open_console, row_of, select, type_line

README = Path(__file__).resolve().parent.parent.parent / "README.md"


def write_example(directory):
    """The directory that the README's session makes: its motd and its Conductorfile."""
    session = README.read_text().split("## A first session")[1].split("```")[1]
    motd = re.search(r"echo '(.*)' > motd", session).group(1)
    recipe = re.search(r"cat > Conductorfile <<'END'\n(.*?)^END$", session, re.S | re.M).group(1)
    assert "FROM debian:bookworm\nCOPY motd /etc/motd\nRUN apt-get update && apt-get install -y htop\n" in recipe
    (directory / "motd").write_text(motd + "\n")
    (directory / "Conductorfile").write_text(recipe)
    return directory / "Conductorfile", motd


@pytest.mark.skipif(not shutil.which("mmdebstrap") and not shutil.which("debootstrap"),
                    reason="neither mmdebstrap nor debootstrap is installed")
def test_the_image_of_the_readme_shows_htop_in_a_pane(conductor):
    file, motd = write_example(conductor.directory)
    screen = open_console(conductor)
    screen.press("b")
    screen.wait_for_text("BUILD AN IMAGE")
    screen.send("hello")
    screen.press("Down", "C-u")
    screen.send(str(file))
    screen.wait_for_text(f"$ conductor build hello {file}")
    screen.press("Enter")
    screen.wait_for_text("build hello")
    screen.wait_for(lambda: screen.find("done in") or screen.find("hint:"), 500, "the end of the build")
    assert screen.find("done in"), screen.dump()
    screen.press("q")
    screen.wait_for_text("[2] IMAGES 1")

    screen.press("r")
    screen.wait_for_text("RUN A CONTAINER")
    screen.send("hel")
    screen.press("Tab", "Down")
    screen.send("web")
    screen.press("Down")
    screen.send("sleep infinity")
    screen.wait_for_text("$ conductor run hello web -d -t -- sleep infinity")
    screen.press("Enter")
    screen.wait_for_text("ok  run hello as web")
    screen.wait_for(lambda: "*" in row_of(screen, "web").split())

    select(screen, "web")
    screen.press("e")
    screen.wait_for_text("root@web:/#")
    type_line(screen, "cat /etc/motd")
    screen.wait_for_text(motd)
    type_line(screen, "htop")
    screen.wait_for_text("F10Quit")
    screen.wait_for(lambda: any(re.search(r"│ +1 root .* sleep infinit", line) for line in screen.lines),
                    what="the container's PID 1 in htop")
    bars = screen.find("Mem[")
    assert bars and screen.cell(*bars).fg not in ("default", screen.cell(bars[0], bars[1] + 3).fg), "in its colours"
    screen.resize(50, 200)
    screen.wait_for_text("F10Quit")
    screen.press("F10")
    screen.wait_until_gone("F10Quit")
    type_line(screen, "exit")
    screen.wait_for_text("[3] EVENTS")
    conductor.wait_for_state("web", "running")
