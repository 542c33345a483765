#!/usr/bin/python3
"""The rules of the house that a machine can hold; one function per rule, one line per breach.

    layers.py [BUILD_DIRECTORY]

Reads the sources (and, given a build directory, which libraries the programs load). Exit status 0: every rule holds;
1: it prints each breach; 77: a tool was missing for a check, the others hold (a failure when CI=true).
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SOURCES = sorted(p.relative_to(TOP) for room in ("core", "net", "tui", "tests") for p in (TOP / room).rglob("*")
                 if p.suffix in (".cpp", ".h"))
TEXT = {path: (TOP / path).read_text() for path in SOURCES}

# Inside core a room may include those with a lower number. image makes images, in a program of its own, on top of the
# rest. Files that lie in core itself (the network's interface) may be included from anywhere.
CORE = {"base": 0, "kernel": 1, "store": 2, "container": 3, "snapshot": 4, "engine": 5, "image": 6}

# Plain values, which any room may include, since they include nothing of ours themselves.
VALUES = {"core/container/healthcheck.h", "core/container/limits.h", "core/container/spec.h"}

# Which of our own top folders may include which, the longest matching folder first; core has CORE on top of it.
MAY_INCLUDE = {
    "core/": ("core/",),
    "net/": ("net/", "core/"),
    "tui/terminal/": ("tui/terminal/",),
    "tui/": ("tui/", "core/"),
    "tests/": ("tests/", "core/", "net/", "tui/"),
}

# Third-party headers: which files may include them. Only .cpp files, so that none leaks through a header; fmt excepted.
LIBRARIES = {
    r"(ncurses|ncursesw|curses|term)(/.*)?\.h": r"tui/console/(screen|keys)\w*\.cpp",
    r"libmnl/.*": r"net/netlink\w*\.cpp",
    r"openssl/.*": r"core/image/.*\.cpp",
    r"curl/.*": r"core/image/registry/transport\.cpp",
    r"isa-l/.*|zstd\.h": r"core/image/decompress\.cpp",
    r"(bzlib|lzma)\.h": r"core/image/unpack\.cpp",
    r"zlib\.h": r"core/image/layer_packer\.cpp",
    r"nlohmann/.*": r".*\.cpp",
    r"CLI/.*": r"tui/command/arguments\.cpp",
    r"seccomp\.h": r"core/kernel/seccomp_generator\.cpp",
    r"g(test|mock)/.*": r"tests/.*",
}

# System calls that change the kernel's state belong to the waists, core/kernel and net, where they are traced and
# undone. (A qualified name, kernel::mount, is a function of ours.)
WAISTS = ("core/kernel/", "net/", "tests/")
STATE_CALLS = re.compile(r"(?<![\w.>:])(?:::)?(mount|umount|umount2|pivot_root|unshare|setns|clone3|open_tree|move_mount|"
                         r"mount_setattr|fsopen|fsconfig|fsmount|sethostname|chroot)\s*\(|\bSYS_(mount|umount2|pivot_root|"
                         r"unshare|setns|clone3|open_tree|move_mount|mount_setattr|fsopen|fsconfig|fsmount)\b")

LINES_LIMIT = 700

# What a program may load. conductor is started for every verb, and each library is paid for at every start.
LOADS = {
    "conductor": {"libmnl.so.0", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"},
    "conductor-images": {"libmnl.so.0", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
                         "libcrypto.so.3", "libisal.so.2", "libzstd.so.1", "libz.so.1"},
    "conductor-console": {"libmnl.so.0", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
                          "libncursesw.so.6", "libtinfo.so.6"},
}


def includes():
    """Every #include as (file, line number, header)."""
    for path in SOURCES:
        for number, line in enumerate(TEXT[path].splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if found:
                yield path, number, found.group(1)


def arrows_point_down():
    for path, number, header in includes():
        name = str(path)
        if header.split("/")[0] not in ("core", "net", "tui", "tests") or Path("/usr/include", header).exists():
            continue
        allowed = next(v for k, v in MAY_INCLUDE.items() if name.startswith(k))
        if name.startswith("tui/") and name.endswith("_main.cpp"):
            allowed += ("net/",)
        if not header.startswith(allowed):
            yield f"{path}:{number}: may not include {header} (only {', '.join(allowed)})"
        if header in VALUES or name in VALUES:
            if name in VALUES and header not in VALUES:
                yield f"{path}:{number}: is a plain value, so it may not include {header}"
            continue
        mine, other = core_room(name), core_room(header)
        if None in (mine, other) or mine == other:
            continue
        if unknown := {mine, other} - set(CORE):
            yield f"{path}:{number}: a room that tests/layers.py does not know: core/{unknown.pop()}"
        elif CORE[mine] <= CORE[other]:
            yield f"{path}:{number}: core/{mine} stands below core/{other}, so it may not include {header}"


def core_room(path):
    """base for core/base/error.h; None outside core's rooms."""
    parts = path.split("/")
    return parts[1] if parts[0] == "core" and len(parts) > 2 else None


def libraries_stay_confined():
    for path, number, header in includes():
        for library, allowed in LIBRARIES.items():
            if re.fullmatch(library, header) and not re.fullmatch(allowed, str(path)):
                yield f"{path}:{number}: <{header}> belongs in {allowed} only"


def kernel_state_changes_in_the_waists_only():
    for path in SOURCES:
        if str(path).startswith(WAISTS):
            continue
        for number, line in enumerate(code_lines(TEXT[path]), 1):
            if STATE_CALLS.search(line):
                yield f"{path}:{number}: changes the kernel's state outside core/kernel and net: {line.strip()}"


def code_lines(text):
    """The lines of a source without its comments and literals."""
    blank = lambda match: '""' + "\n" * match.group().count("\n")
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"\(.*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\])\'', blank, text, flags=re.S).splitlines()


def files_stay_small():
    for path in SOURCES:
        if (lines := TEXT[path].count("\n")) > LINES_LIMIT:
            yield f"{path}: {lines} lines; the limit is {LINES_LIMIT}"


def files_open_with_their_chapter():
    """What a file is for and the idea behind it. A source with a header of its name has it there."""
    for path in SOURCES:
        in_header = path.suffix == ".cpp" and path.with_suffix(".h") in TEXT
        if not in_header and not TEXT[path].startswith("//"):
            yield f"{path}: does not open with its chapter (a comment: what it is for, the idea behind it)"


def format_is_clean():
    if not (tool := shutil.which("clang-format")):
        raise LookupError("clang-format")
    done = subprocess.run([tool, "--dry-run", "-Werror", *map(str, SOURCES)], cwd=TOP, capture_output=True, text=True)
    yield from (line for line in done.stderr.splitlines() if ": error:" in line)


def programs_load_little():
    if len(sys.argv) < 2:
        return
    if not (tool := shutil.which("readelf")):
        raise LookupError("readelf")
    cache = (Path(sys.argv[1]) / "CMakeCache.txt").read_text()
    if "CONDUCTOR_SANITIZE:BOOL=ON" in cache:
        return
    for program, allowed in LOADS.items():
        if not (path := Path(sys.argv[1]) / program).exists():
            continue
        dynamic = subprocess.run([tool, "-d", path], capture_output=True, text=True, check=True).stdout
        for library in set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)) - allowed:
            yield f"{program} loads {library}"


def bootstrap_reads_its_tables():
    done = subprocess.run([TOP / "bootstrap", "help"], capture_output=True, text=True)
    if done.returncode != 0 or done.stderr:
        yield f"bootstrap help: status {done.returncode}, {done.stderr.strip()}"
    table = re.search(r"packages <<'END'.*?\n(.*?)\nEND\n", (TOP / "bootstrap").read_text(), re.DOTALL)
    for row in table[1].splitlines() if table else ["no table of packages"]:
        if [bool(cell.strip()) for cell in row.split("|")] != [True] * 3:
            yield f"bootstrap: not 'when | package | what for': {row}"


RULES = (arrows_point_down, libraries_stay_confined, kernel_state_changes_in_the_waists_only, files_stay_small,
         files_open_with_their_chapter, format_is_clean, programs_load_little,
         bootstrap_reads_its_tables)


def main():
    broken, skipped = 0, 0
    for rule in RULES:
        title = rule.__name__.replace("_", " ")
        try:
            breaches = list(rule())
        except LookupError as missing:
            skipped += 1
            print(f"SKIPPED  {title}: {missing} is not installed")
            continue
        broken += len(breaches)
        print(f"{'ok      ' if not breaches else 'BROKEN  '} {title}")
        for breach in breaches:
            print(f"         {breach}")
    if broken or (skipped and os.environ.get("CI") == "true"):
        return 1
    return 77 if skipped else 0


sys.exit(main())
