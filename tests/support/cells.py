"""The terminal of the tests: pyte's grid of cells, plus what pyte 0.8 lacks or gets wrong.

pyte takes `CSI > 4 m` for an underline, stumbles over `CSI ? 4 m`, prints the body of device control strings, and knows
neither the alternate screen, nor repeated characters, nor scrolling by lines, nor line drawing, all of which xterm's
terminfo entry promises. So the bytes are cut into sequences here, and pyte is given only what it understands.
"""
import copy
import re

import pyte
from pyte.charsets import VT100_MAP

SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[(?P<prefix>[<=>?]?)(?P<numbers>[0-9;:]*)(?P<middle>[ -/]*)(?P<final>[@-~])"
    rb"|\](?P<command>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    rb"|[PX^_](?P<string>[^\x1b]*)\x1b\\"
    rb"|\((?P<charset>.)"
    rb"|[)*+#% ]."
    rb"|(?P<short>[^\[\]PX^_()*+#% ])"
    rb")", re.S)
LONGEST_SEQUENCE = 1 << 20
ALTERNATE_SCREEN = {"47", "1047", "1049"}
UPDATE_BEGINS, UPDATE_ENDS = b"\x1b[?2026h", b"\x1b[?2026l"


class Cells(pyte.Screen):
    """What is on the screen, and what the program has asked of the terminal besides:

    private_modes: numbers that are on (`?2004h`: "2004" bracketed paste, "1006" mouse, "2026" held-back painting ...)
    commands: operating system commands in order ("2;title", "52;c;...")
    strings: bodies of device control and similar strings
    cursor_style: the last number of `CSI n SP q`

    A synchronised update (DEC 2026) shows when it is whole, so that nobody looks at half a frame.
    """

    def __init__(self, columns, rows):
        self.last_drawn, self.line_drawing, self.main_screen = " ", False, None
        self.private_modes, self.commands, self.strings, self.cursor_style = set(), [], [], None
        self.pending = b""
        super().__init__(columns, rows)
        self.stream = pyte.ByteStream(self)

    def feed(self, data):
        self.pending += data
        whole = len(self.pending)
        begin = self.pending.rfind(UPDATE_BEGINS)
        if begin >= 0 and self.pending.find(UPDATE_ENDS, begin) < 0 and whole - begin < LONGEST_SEQUENCE:
            whole = begin
        held, self.pending = self.pending[whole:], self.pending[:whole]
        self.show_pending()
        self.pending += held

    def show_pending(self):
        at = 0
        while (escape := self.pending.find(b"\x1b", at)) >= 0:
            self.stream.feed(self.pending[at:escape])
            at = escape
            found = SEQUENCE.match(self.pending, at)
            if found:
                self.take(found)
                at = found.end()
            elif len(self.pending) - at < LONGEST_SEQUENCE:
                break  # the rest of it is on its way
            else:
                at += 1
        else:
            self.stream.feed(self.pending[at:])
            at = len(self.pending)
        self.pending = self.pending[at:]

    def take(self, found):
        """One complete sequence."""
        if found["final"]:
            self.take_control(*(found[name].decode() for name in ("prefix", "numbers", "middle", "final")))
        elif found["command"] is not None:
            self.commands.append(found["command"].decode(errors="replace"))
            if found["command"][:2] in (b"0;", b"2;"):
                self.set_title(found["command"][2:].decode(errors="replace"))
        elif found["string"] is not None:
            self.strings.append(found["string"])
        elif found["charset"]:
            self.line_drawing = found["charset"] == b"0"
        elif found["short"]:
            self.stream.feed(found.group())

    def take_control(self, prefix, numbers, middle, final):
        """CSI prefix numbers middle final: done here if it is in the table, given to pyte if that knows it."""
        own = {"b": self.repeat, "S": self.scroll_up, "T": self.scroll_down, "Z": self.tab_back}
        if middle:
            if middle + final == " q":
                self.cursor_style = numbers
            elif (prefix, numbers, middle + final) == ("?", "2026", "$p"):
                self.write_process_input("\x1b[?2026;2$y")
        elif prefix == "?":
            if final in "hl":
                self.set_private_modes(numbers.split(";"), final == "h")
            if final in "hlJK":
                self.stream.feed(f"\x1b[?{numbers}{final}".encode())
        elif prefix:
            pass
        elif final in own:
            own[final](int(numbers or 1))
        elif final in "su":
            self.save_cursor() if final == "s" else self.restore_cursor()
        elif final != "t":
            self.stream.feed(f"\x1b[{plain_colours(numbers) if final == 'm' else numbers}{final}".encode())

    def set_private_modes(self, numbers, on):
        (self.private_modes.update if on else self.private_modes.difference_update)(numbers)
        if ALTERNATE_SCREEN.isdisjoint(numbers) or on == (self.main_screen is not None):
            return
        if on:
            self.main_screen = {y: dict(line) for y, line in self.buffer.items()}, copy.copy(self.cursor)
            self.buffer.clear()
        else:
            lines, self.cursor = self.main_screen
            self.main_screen = None
            self.buffer.clear()
            for y, line in lines.items():
                self.buffer[y].update(line)
            self.ensure_hbounds()
            self.ensure_vbounds()

    def draw(self, data):
        if self.line_drawing:
            data = data.translate(VT100_MAP)
        super().draw(data)
        self.last_drawn = data[-1]

    def repeat(self, count):
        self.draw_plain(self.last_drawn * count)

    def draw_plain(self, data):
        super().draw(data)

    def tab_back(self, count):
        for _ in range(count):
            self.cursor.x = max((stop for stop in self.tabstops if stop < self.cursor.x), default=0)

    def scroll_up(self, count):
        self.scroll(count, self.margins.bottom if self.margins else self.lines - 1, self.index)

    def scroll_down(self, count):
        self.scroll(count, self.margins.top if self.margins else 0, self.reverse_index)

    def scroll(self, count, edge, step):
        row, self.cursor.y = self.cursor.y, edge
        for _ in range(min(count, self.lines)):
            step()
        self.cursor.y = row


def plain_colours(numbers):
    """SGR numbers with colons in the form that pyte reads: 38:2::R:G:B becomes 38;2;R;G;B, a curly underline plain."""
    parts = []
    for part in numbers.split(";"):
        fields = part.split(":")
        if fields[0] in ("38", "48") and len(fields) > 2:
            fields = [f for f in (fields[:2] + fields[-3:] if fields[1] == "2" else fields[:3])]
            parts += fields
        elif fields[0] == "4" and len(fields) == 2:
            parts.append("24" if fields[1] == "0" else "4")
        elif len(fields) == 1:
            parts.append(part)
    return ";".join(parts)
