"""A program on a pseudo-terminal, and what a person would see on it: its bytes go into a grid of cells (cells.py)."""
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import termios

from .cells import Cells
from .waiting import wait_until

KEYS = {
    "Enter": "\r", "Escape": "\x1b", "Tab": "\t", "Backspace": "\x7f", "Space": " ",
    "Up": "\x1b[A", "Down": "\x1b[B", "Right": "\x1b[C", "Left": "\x1b[D", "Home": "\x1b[H", "End": "\x1b[F",
    "PageUp": "\x1b[5~", "PageDown": "\x1b[6~", "Insert": "\x1b[2~", "Delete": "\x1b[3~", "BackTab": "\x1b[Z",
    "F1": "\x1bOP", "F2": "\x1bOQ", "F3": "\x1bOR", "F4": "\x1bOS", "F5": "\x1b[15~", "F10": "\x1b[21~",
    **{f"C-{chr(c)}": chr(c - 96) for c in range(ord("a"), ord("z") + 1)},
}


class Screen:
    """One program on one terminal. Everything that waits has a deadline, and shows the screen when it passes."""

    def __init__(self, command, rows=24, columns=80, environment=None):
        self.display = Cells(columns, rows)
        self.display.write_process_input = self.answer
        self.bytes_received = 0
        self.exit_status = None
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                set_size(0, rows, columns)
                os.execvpe(command[0], command, environment if environment is not None else os.environ)
            finally:
                os._exit(127)
        set_size(self.master, rows, columns)
        os.set_blocking(self.master, False)

    def answer(self, text):
        """What a terminal says of itself when it is asked (device attributes, the cursor's position)."""
        os.write(self.master, text.encode())

    def read(self, seconds=0.0):
        """Takes in what the program has written, waiting at most so long for the first byte. Returns the bytes."""
        taken = b""
        while self.master >= 0 and select.select([self.master], [], [], 0 if taken else seconds)[0]:
            try:
                chunk = os.read(self.master, 65536)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:  # EIO: the last holder of the other side has closed it
                    raise
                break
            if not chunk:
                break
            taken += chunk
            self.display.feed(chunk)
        self.bytes_received += len(taken)
        return taken

    @property
    def lines(self):
        """The rows as text, without the blanks at their ends."""
        self.read()
        return [line.rstrip() for line in self.display.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def cell(self, row, column):
        """One cell (from 0): .data, .fg, .bg, .bold, .reverse, .underscore ..."""
        self.read()
        return self.display.buffer[row][column]

    def find(self, text):
        """(row, column) of the first place where the text stands, or None."""
        for row, line in enumerate(self.lines):
            if (column := line.find(text)) >= 0:
                return row, column
        return None

    def dump(self):
        """The whole screen in a frame, for messages."""
        edge = "+" + "-" * self.display.columns + "+"
        return "\n".join([edge, *(f"|{line}|" for line in self.display.display), edge])

    def wait_for(self, condition, deadline=10.0, what="the condition"):
        """Waits until condition() is true; the screen is kept up to date meanwhile."""
        def check():
            self.read(0.01)
            return condition()
        return wait_until(check, deadline, lambda: f"{what}; the screen is\n{self.dump()}")

    def wait_for_text(self, text, deadline=10.0):
        return self.wait_for(lambda: self.find(text), deadline, f"the text {text!r}")

    def wait_until_gone(self, text, deadline=10.0):
        self.wait_for(lambda: self.find(text) is None, deadline, f"the text {text!r} goes away")

    def wait_until_quiet(self, seconds=0.2, deadline=10.0):
        """Waits until the program has written nothing for so long."""
        wait_until(lambda: not self.read(seconds), deadline, lambda: f"quiet; the screen is\n{self.dump()}")

    def send(self, text):
        """Types a text (str or bytes) as it is."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            try:
                data = data[os.write(self.master, data):]
            except BlockingIOError:
                self.read(0.01)

    def press(self, *keys):
        """Presses keys by name (Enter, Up, F1, C-c, M-x); a name that is no key is typed as it is."""
        for key in keys:
            alt, name = ("\x1b", key[2:]) if key.startswith("M-") else ("", key)
            self.send(alt + KEYS.get(name, name))

    def resize(self, rows, columns):
        self.display.resize(rows, columns)
        set_size(self.master, rows, columns)

    def signal(self, number):
        os.kill(self.pid, number)

    def ended(self):
        """Whether the program has ended; exit_status then is its status, minus the number where a signal ended it."""
        if self.exit_status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_status = os.waitstatus_to_exitcode(status)
        return self.exit_status is not None

    def wait(self, deadline=10.0):
        """Waits for the program's end and returns its exit status."""
        self.wait_for(self.ended, deadline, "the end of the program")
        self.read()
        return self.exit_status

    def close(self):
        """Hangs up as a closed terminal window does, and kills what does not go by itself."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
        if self.ended():
            return
        try:
            wait_until(self.ended, 2)
        except AssertionError:
            self.signal(signal.SIGKILL)
            wait_until(self.ended, 5)


def set_size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
