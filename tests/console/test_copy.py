"""Copy mode: what a pane has shown, looked through, marked, and copied to the terminal's clipboard (OSC 52)."""
import base64

from console.keys import open_console, select, shell, type_line


def copied(screen):
    """The texts that the terminal was asked to put into its clipboard, in order."""
    screen.read()
    return [base64.b64decode(command.split(";", 2)[2]).decode() for command in screen.display.commands if command.startswith("52;")]


def wait_for_copy(screen, text):
    screen.wait_for(lambda: copied(screen)[-1:] == [text], what=f"the clipboard {text!r}, not {copied(screen)}")


def with_shell(conductor, *lines):
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "-t")
    screen = open_console(conductor)
    select(screen, "web")
    shell(screen)
    for line in lines:
        type_line(screen, line)
    return screen


def with_log(conductor, script):
    """The log of a container that runs this, in a pane."""
    conductor.busybox_image()
    conductor.ok("run", "box", "web", "-d", "--", "/bin/sh", "-c", script)
    screen = open_console(conductor)
    select(screen, "web")
    screen.press("l")
    return screen


def copy_mode(screen, *keys):
    screen.press("C-g", "[")
    screen.wait_for_text("mark lines")
    screen.press(*keys)


def test_lines_that_have_scrolled_away_are_found_marked_and_copied(conductor):
    screen = with_shell(conductor, "seq 1 200 | sed 's/^/line /'; echo done-$((1+1))")
    screen.wait_for_text("done-2")
    copy_mode(screen, "?", *"line 17", "Enter")
    screen.wait_for_text("line 179")
    screen.press("?", *"line 42", "Enter", "V", "j", "y")
    wait_for_copy(screen, "line 42\nline 43")
    screen.wait_for_text("copied 2 lines")
    type_line(screen, "echo back-$((2+2))")
    screen.wait_for_text("back-4")


def test_words_blocks_and_lines_that_the_terminal_wrapped(conductor):
    screen = with_shell(conductor, "printf 'one two\\nthree four\\n'; seq -s , 1 60; echo done-$((1+1))")
    screen.wait_for_text("done-2")
    copy_mode(screen, "?", *"two", "Enter", "W", "y")
    wait_for_copy(screen, "two")
    copy_mode(screen, "?", *"one two", "Enter", "C-v", "l", "l", "j", "y")
    wait_for_copy(screen, "one\nthr")
    copy_mode(screen, "?", *"1,2,3", "Enter", "V", "j", "j", "j", "y")
    wait_for_copy(screen, ",".join(str(n) for n in range(1, 61)) + "\ndone-2")


def test_what_is_looked_at_stands_still_while_the_program_goes_on(conductor):
    screen = with_shell(conductor, "(while [ ! -e /go ]; do sleep 0.05; done; seq 1000 1$((99+1))) & echo still-$((3*3))")
    screen.wait_for_text("still-9")
    copy_mode(screen)
    conductor.ok("exec", "web", "--", "/bin/touch", "/go")
    screen.wait_until_quiet(0.3)
    assert screen.find("still-9") and not screen.find("1100")
    screen.press("q")
    screen.wait_for_text("1100")


def test_a_shell_that_ends_leaves_what_is_looked_at(conductor):
    screen = with_shell(conductor, "echo last-$((5*5))")
    screen.wait_for_text("last-25")
    copy_mode(screen)
    conductor.ok("stop", "--keep", "-t", "0", "web")
    screen.wait_for_text("exit 137")
    screen.press("?", *"last-2", "Enter", "W", "y")
    wait_for_copy(screen, "last")
    screen.wait_until_gone("last-25")


def test_logs_are_searched_and_copied_without_what_they_could_do(conductor):
    screen = with_log(conductor, r"seq 1 300; printf 'needle \033]0;evil\007\033[31mred\033[0m\n'; seq 301 400; sleep 1000")
    screen.wait_for_text("400")
    screen.press("/", *"needle", "Enter")
    screen.wait_for_text("needle")
    screen.press("y")
    wait_for_copy(screen, r"needle \x1b]0;evil\x07red")
    screen.wait_for_text("held")
    screen.press("G")
    screen.wait_for_text("live")


def test_too_much_is_refused_with_a_sentence(conductor):
    screen = with_shell(conductor, "seq 100000 115000; echo done-$((1+1))")
    screen.wait_for_text("done-2", 20)
    copy_mode(screen, "g", "V", "G", "y")
    screen.wait_for_text("are too many for the clipboards of terminals")
    assert copied(screen) == []


def test_the_mouse_marks_and_copies(conductor):
    screen = with_shell(conductor, "clear; printf 'alpha %s\\n' beta-gamma")
    row, column = screen.wait_for_text("│alpha beta-gamma")
    column += 1

    def mouse(button, x, release=False):
        screen.send(f"\x1b[<{button};{x + 1};{row + 1}{'m' if release else 'M'}")
    mouse(0, column + 2)
    mouse(32, column + 4)
    mouse(32, column + 8)
    mouse(0, column + 8, release=True)
    wait_for_copy(screen, "pha bet")
    screen.send("".join(f"\x1b[<0;{column + 13};{row + 1}{end}" for end in "MmMmMm"))
    wait_for_copy(screen, "alpha beta-gamma")
    assert copied(screen) == ["pha bet", "gamma", "alpha beta-gamma"]
    type_line(screen, "echo typed-$((1+1))")
    screen.wait_for_text("typed-2")


def test_a_resize_keeps_the_place(conductor):
    screen = with_shell(conductor, "seq 1 300; echo done-$((1+1))")
    screen.wait_for_text("done-2")
    copy_mode(screen, "?", *"123", "Enter")
    screen.wait_for_text("123")
    screen.resize(24, 80)
    screen.wait_until_gone("CONTAINERS")
    screen.wait_for_text("123")
    screen.press("y")
    wait_for_copy(screen, "123")


def test_lines_of_tabs_and_names_that_steer_are_neither_slow_nor_raw(conductor):
    screen = with_log(conductor, r"for i in 1 2 3; do head -c 16000 /dev/zero | tr '\0' '\t'; echo; done; printf 'b\342\200\256c end\n'; sleep 1000")
    screen.wait_for_text(r"b\u202ec end")
    screen.press("C-g", "[", "g", "w", "W", "e", "b", "W", "G", "y")
    wait_for_copy(screen, r"b\u202ec end")


def test_a_log_that_becomes_empty_ends_copy_mode(conductor):
    screen = with_log(conductor, "echo only; sleep 1000")
    screen.wait_for_text("only")
    screen.press("C-g", "[")
    screen.wait_for_text("mark lines")
    screen.press("q", "@", *"2100-01-01T00:00:00Z", "Enter")
    screen.wait_for_text("nothing yet")
    screen.press("C-g", "[", "j", "v", "y", "w", "k")
    screen.press("@", *"all", "Enter")
    screen.wait_for_text("only")


def test_a_wrapped_line_that_is_not_wrapped_any_more_is_still_seen(conductor):
    screen = with_log(conductor, "head -c 15000 /dev/zero | tr '\\0' a; echo; sleep 1000")
    screen.wait_for_text("aaaaa")
    screen.press("C-u", "C-u", "C-u", "w")
    screen.wait_until_quiet(0.3)
    assert screen.find("aaaaa")
    screen.press("v", "y")
    screen.wait_for(lambda: copied(screen)[-1:] == ["a"], what="one character")
