"""The network in the console: who may talk to whom, the forms that change it and what takes that back, refusals, and
rules that somebody else takes away. The kernel is asked as well as the screen."""
import socket
import subprocess

import pytest
from console.keys import open_console, row_of, select
from support import outside
from support.outside import ask
from support.waiting import wait_until

SERVER = ["--", "sh", "-c", "nc -ll -p 80 -e echo I am $HOSTNAME & nc -ll -p 90 -e cat & while :; do sleep 1000; done"]


@pytest.fixture
def far():
    """The network outside of the host."""
    place = outside.Outside()
    yield place
    place.close()


def started(conductor, *names, **options):
    """Containers that serve, and the console beside them."""
    conductor.busybox_image("box")
    for name in names:
        conductor.ok("run", "-d", "box", name, *SERVER)
    screen = open_console(conductor, **options)
    screen.wait_for_text(f"{len(names)} up / {len(names)}")
    return screen


def network(conductor, name):
    """Its element of `networks` in ps, None without a network."""
    found = next(c for c in conductor.json("ps", "-a") if c["name"] == name)["networks"]
    return found[0] if found else None


def fetch(conductor, name, address, port=80):
    """What a server answers to a container; empty when it is refused."""
    script = f"timeout 5 nc -w 3 {address} {port} < /dev/null; true"
    return conductor.ok("exec", name, "--", "sh", "-c", script).strip()


def connect(conductor, *names):
    """Gives these a link, and returns their addresses."""
    for name in names:
        conductor.ok("addnetwork", name)
    return [network(conductor, name)["address"] for name in names]


def has(screen, *texts):
    for text in texts:
        screen.wait_for_text(text)


def table():
    return subprocess.run(["nft", "list", "table", "inet", "conductor"], capture_output=True, text=True).stdout


def test_a_map_of_nothing_says_what_to_press(conductor):
    screen = started(conductor, "web")
    screen.press("Right")
    has(screen, "<Network>", "no container is connected to anything", "a connects web", "p lets two containers talk")
    screen.press("Left")
    has(screen, "<Overview>", "PROCESSES")


def test_the_connect_form_shows_connects_and_is_taken_back(conductor, far):
    screen = started(conductor, "web", rows=24, columns=80)
    screen.press("a")
    has(screen, "CONNECT web", "REACHABLE AFTER ENTER", "new  host <-> web, all ports", "$ conductor addnetwork web")
    screen.press("Space", "Tab")
    screen.send("80-8080")
    has(screen, "new  web -> internet and LAN", "new  host 8080 -> web 80, also from the LAN and the internet side",
        "$ conductor addnetwork web -i --expose 80-8080")
    assert network(conductor, "web") is None, "before Enter nothing happens"
    screen.press("Enter")
    has(screen, "ok  addnetwork web -i --expose 80-8080")
    web = network(conductor, "web")
    assert web["internet"] and [port["outer"] for port in web["published"]] == [8080]
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "the published port answers")
    screen.press("Right")
    screen.wait_for(lambda: any("8080 ─" in line and "> 80 web" in line and "--> internet" in line for line in screen.lines))
    screen.press("u")
    has(screen, "ok  delnetwork web")
    assert network(conductor, "web") is None and ask("127.0.0.1", 8080) is None
    has(screen, "no container is connected to anything")


def test_undo_takes_back_only_what_was_added(conductor):
    screen = started(conductor, "web")
    conductor.ok("addnetwork", "web", "-e", "90-9090")
    screen.wait_for_text("9090 -> 90")
    screen.press("a", "Tab")
    screen.send("80-8080 90-9090")
    has(screen, "new  host 8080 -> web 80", "$ conductor addnetwork web --expose 80-8080 --expose 90-9090")
    screen.press("Enter")
    has(screen, "ok  addnetwork web")
    screen.press("u")
    has(screen, "ok  delnetwork web")
    assert [port["outer"] for port in network(conductor, "web")["published"]] == [9090]


def test_the_connect_form_checks_ports_as_they_are_typed(conductor):
    screen = started(conductor, "web", "other")
    conductor.ok("addnetwork", "other", "-e", "80-8081")
    select(screen, "web")
    with socket.create_server(("0.0.0.0", 8082)):
        screen.press("a", "Tab")
        has(screen, "CONNECT web")
        for typed, said in {"8080:80": "the container's port stands first", "80-70000": "ports are 1 to 65535",
                            "80-8081": "leads to 'other' already", "80-8082": "port 8082 of the host is taken"}.items():
            screen.press("C-u")
            screen.send(typed)
            has(screen, said)
            screen.press("Enter")
            screen.wait_until_quiet(0.1)
            assert screen.find("CONNECT web"), "it does not begin what would fail"
    screen.press("C-u")
    screen.send("80-8083")
    has(screen, "new  host 8083 -> web 80")
    screen.press("Enter")
    has(screen, "ok  addnetwork web")
    screen.press("a")
    has(screen, "CONNECT web", "host 8083 -> web 80")
    assert not screen.find("new  host 8083")


def test_who_was_refused_is_told_and_offered(conductor):
    screen = started(conductor, "web", "db", "cache")
    web, db, cache = connect(conductor, "web", "db", "cache")
    assert fetch(conductor, "cache", web) == ""
    has(screen, "cache was refused web")
    assert fetch(conductor, "web", db) == ""
    has(screen, "web was refused db")
    select(screen, "web")
    screen.press("Right")
    screen.wait_for(lambda: any("-x- db" in line and "refused" in line for line in screen.lines), what="the broken way")
    has(screen, ": p peers them")
    screen.press("p")
    has(screen, "PEER web", "new  web <-> db, all ports, each finds the other by name", "$ conductor peer web db")
    screen.press("Enter")
    has(screen, "ok  peer web db")
    assert fetch(conductor, "web", "db") == "I am db" and fetch(conductor, "db", "web") == "I am web"
    assert fetch(conductor, "cache", web) == ""
    screen.wait_for(lambda: any("<-> db" in line for line in screen.lines) and not screen.find("-x- db"))
    assert not screen.find("was refused db"), "what is allowed now is offered no more"
    screen.press("u")
    has(screen, "ok  unpeer web db")
    assert fetch(conductor, "web", db) == ""


def test_a_container_that_is_refused_the_internet_is_offered_it(conductor, far):
    screen = started(conductor, "web")
    connect(conductor, "web")
    screen.wait_for_text("eth0")
    assert fetch(conductor, "web", outside.THERE) == ""
    has(screen, "web was refused the internet", "a lets it out")
    screen.press("a")
    has(screen, "new  web -> internet and LAN", "$ conductor addnetwork web -i")


def test_two_that_are_marked_are_peered(conductor):
    screen = started(conductor, "a1", "b2", "c3")
    select(screen, "b2")
    screen.press("Space", "Space")
    screen.wait_for_text("2 marked")
    screen.press("p")
    has(screen, "PEER b2", "new  b2 <-> c3", "it gets a link for this")
    screen.press("Enter")
    has(screen, "ok  peer b2 c3")
    assert network(conductor, "b2")["peers"] == ["c3"] and network(conductor, "a1") is None


def test_the_peer_form_names_what_cannot_be(conductor):
    screen = started(conductor, "web", "db", "cache")
    select(screen, "web")
    screen.press("p")
    has(screen, "PEER web", "with db, cache")
    for typed, said in {"web": "that is itself", "nobody": "no container is called that"}.items():
        screen.press("C-u")
        screen.send(typed)
        has(screen, said)
    screen.press("C-u")
    screen.send("d")
    screen.press("Tab")
    has(screen, "$ conductor peer web db")
    screen.press("Enter")
    has(screen, "ok  peer web db")
    screen.press("p")
    screen.wait_for_text("PEER web")
    has(screen, "$ conductor peer web cache")


def test_the_menu_takes_single_permissions_away(conductor, far):
    screen = started(conductor, "web", "db")
    conductor.ok("addnetwork", "web", "-i", "-e", "80-8080", "-e", "90-127.0.0.1:9090")
    conductor.ok("peer", "web", "db")
    screen.wait_for_text("net 0 in")
    select(screen, "web")
    screen.press("m", "delnet", "Enter")
    has(screen, "DISCONNECT web", "host 8080 -> web 80 ends", "web -> internet ends", "web <-> db ends", "everything")
    screen.press("8080", "Enter")
    has(screen, "ok  delnetwork web --expose 80-8080")
    assert [port["outer"] for port in network(conductor, "web")["published"]] == [9090]
    screen.press("u")
    has(screen, "ok  addnetwork web")
    assert sorted(port["outer"] for port in network(conductor, "web")["published"]) == [8080, 9090]
    screen.press(":", "unpeer", "Enter")
    has(screen, "UNPEER web")
    screen.press("Enter")
    has(screen, "ok  unpeer web db")
    assert network(conductor, "web")["peers"] == [] and network(conductor, "db") is None


def test_everything_that_was_taken_away_comes_back(conductor, far):
    screen = started(conductor, "web", "db")
    conductor.ok("addnetwork", "web", "-i", "-e", "80-8080")
    conductor.ok("peer", "web", "db")
    screen.wait_for_text("net 0 in")
    select(screen, "web")
    before = network(conductor, "web")
    screen.press("m", "delnet", "Enter")
    screen.wait_for_text("DISCONNECT web")
    screen.press("everything", "Enter")
    has(screen, "ok  delnetwork web")
    assert network(conductor, "web") is None
    screen.press("u")
    wait_until(lambda: network(conductor, "web") == before, 10, "web is connected as before")


def test_a_link_shows_what_passes_to_whom(conductor, far):
    screen = started(conductor, "web", "db")
    conductor.ok("addnetwork", "web", "-i", "-e", "80-8080")
    conductor.ok("peer", "web", "db")
    select(screen, "web")
    has(screen, "INTERFACE", "HOST SIDE", f"{network(conductor, 'web')['address']}/32", "internet", "8080 -> 80")
    conductor.ok("exec", "web", "-d", "--", "sh", "-c",
                 "while :; do dd if=/dev/zero bs=16k count=1 2>/dev/null; sleep 0.1; done | nc db 90 > /dev/null")

    def rates():
        line = next(line for line in screen.lines if "─ db " in line)
        return line.split("│")[1].split()[2:4]
    screen.wait_for(lambda: rates() and all(rate not in ("", "0") for rate in rates()), 15, "both directions of the peer")
    assert "both ways" in next(line for line in screen.lines if "─ internet" in line)


SCREENS = [(24, 80, "default"), (24, 80, "mono"), (24, 80, "projector"), (35, 120, "default"), (50, 200, "projector")]


@pytest.mark.parametrize("rows,columns,theme", SCREENS)
def test_the_map_is_read_at_every_size_and_in_every_theme(conductor, far, rows, columns, theme):
    conductor.busybox_image("box")
    for name in ("web", "db", "lonely"):
        conductor.ok("run", "-d", "box", name, *SERVER)
    conductor.ok("addnetwork", "web", "-i", "-e", "80-8080")
    conductor.ok("peer", "web", "db")
    screen = open_console(conductor, "--theme", theme, rows=rows, columns=columns)
    screen.wait_for_text("3 up / 3")
    screen.press("Right")
    has(screen, "HOST PORT", "REACHES", "not connected: lonely")
    rule = "-" if theme == "projector" else "─"
    screen.wait_for(lambda: any(f"8080 {rule}" in line and "> 80 web" in line and "--> internet" in line for line in screen.lines))
    screen.wait_for(lambda: sum("<-> web" in line or "<-> db" in line for line in screen.lines) == 2)
    if theme == "projector":
        assert all(ord(c) < 128 for line in screen.lines for c in line), "ASCII"
    # The cursor is told without colours as well.
    select(screen, "db")
    screen.wait_for(lambda: any(line.lstrip("│|").startswith(">") and "<-> web" in line for line in screen.lines))


def test_low_screens_give_the_details_room_while_they_have_the_focus(conductor):
    screen = started(conductor, "web", rows=24, columns=80)
    height = lambda: next(y for y, line in enumerate(screen.lines) if "<Overview>" in line)
    before = height()
    screen.press("Enter")
    screen.wait_for(lambda: height() < before)
    screen.wait_for(lambda: row_of(screen, "web"))
    screen.press("Enter")
    screen.wait_for(lambda: height() == before)


def test_beside_a_shell_the_network_is_told_in_words(conductor):
    screen = started(conductor, "web", "db")
    conductor.ok("addnetwork", "web", "-e", "80-8080")
    conductor.ok("peer", "web", "db")
    select(screen, "web")
    screen.press("Right", "e")
    has(screen, "TYPING IN", "host 8080 -> web 80", "web <-> db")


def test_rules_that_somebody_flushed_are_put_back(conductor):
    screen = started(conductor, "web", "db")
    connect(conductor, "web", "db")
    screen.wait_for_text("net 0 in")
    assert "chain forward" in table()
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    has(screen, "ok  mend the network")
    assert "chain forward" in table()
    screen.press("M")
    has(screen, "somebody took away the rules that keep containers apart", "mended:")


def test_who_only_looks_sees_the_map_and_changes_nothing(conductor):
    conductor.busybox_image("box")
    for name in ("web", "db"):
        conductor.ok("run", "-d", "box", name, *SERVER)
    conductor.ok("peer", "web", "db")
    screen = open_console(conductor, "--read-only")
    screen.wait_for_text("2 up / 2")
    screen.press("Right")
    screen.wait_for(lambda: sum("<-> " in line for line in screen.lines) >= 2)
    has(screen, "rates and refusals are not to be seen")
    for key in "ap":
        screen.press(key)
        has(screen, "only looks")
    screen.press("m")
    screen.wait_until_quiet(0.1)
    assert not screen.find("delnetwork") and not screen.find("unpeer")
