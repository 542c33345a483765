"""A tmux server of our own, for what only a real terminal multiplexer shows: colours and keys through one more layer."""
import shutil
import subprocess
import tempfile

from .waiting import wait_until


class Tmux:
    """One server on a private socket, with one window that runs the command."""

    def __init__(self, command, rows=24, columns=80, environment=None):
        self.directory = tempfile.mkdtemp(prefix="ct-tmux-", dir="/var/tmp")
        self.environment = environment
        self("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", rows, "--", *command)

    def __call__(self, *arguments):
        """Runs a tmux command and returns what it prints."""
        command = ["tmux", "-S", f"{self.directory}/socket", *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10, env=self.environment).stdout

    def text(self, attributes=False):
        """The screen as text; with its colours as escape sequences if asked."""
        return self("capture-pane", "-p", *(["-e"] if attributes else []))

    def press(self, *keys):
        """Keys by tmux's names: Enter, C-b, M-x, Up, or text."""
        self("send-keys", *keys)

    def resize(self, rows, columns):
        self("resize-window", "-x", columns, "-y", rows)

    def wait_for_text(self, text, deadline=10.0):
        wait_until(lambda: text in self.text(), deadline, lambda: f"the text {text!r}; the screen is\n{self.text()}")

    def close(self):
        subprocess.run(["tmux", "-S", f"{self.directory}/socket", "kill-server"], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)
