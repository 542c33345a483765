"""What the console tests share: the console on a terminal, and the words that it answers with."""
from pathlib import Path

SIZES = [(35, 120), (24, 80), (16, 60), (10, 40)]


def open_console(conductor, *options, rows=35, columns=120, env=None):
    """The console on a terminal of that size, once it shows the list."""
    screen = conductor.screen("console", *options, rows=rows, columns=columns, env=env)
    screen.wait_for_text("up / ")
    return screen


def select(screen, name):
    """Puts the cursor on the container of that name."""
    def there():
        return any(line.lstrip("│|").startswith(">") and name in line.split() for line in screen.lines)
    screen.press("g")
    screen.wait_until_quiet(0.05)
    for _ in range(60):
        if there():
            return
        screen.press("j")
        screen.wait_until_quiet(0.05)
    raise AssertionError(f"no row {name}:\n{screen.dump()}")


def row_of(screen, name):
    """The line of the table that shows this container."""
    return next((line for line in screen.lines if name in line.split()[:4]), "")


def shell(screen, name="web"):
    """Opens a shell in the selected container and waits for its prompt."""
    screen.press("e")
    screen.wait_for_text("TYPING IN")
    screen.wait_for_text("/ #")
    return screen


def type_line(screen, text):
    screen.send(text)
    screen.press("Enter")


def tool_image(conductor):
    """Starts a container 'tools' with the host's programs (vim, less, htop) bound in read-only."""
    conductor.busybox_image()
    volumes = [part for place in ("/usr:/usr", "/usr/lib:/lib", "/usr/lib64:/lib64")
               if Path(place.split(":")[0]).is_dir() for part in ("-v", f"{place}:ro")]
    conductor.ok("run", "box", "tools", "-d", "-t", *volumes, "--", "/bin/sh")
