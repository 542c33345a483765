"""Links and permissions of containers as net/ makes them, in namespaces that play host, LAN, internet and containers."""
import json
import socket
import struct
from pathlib import Path

import pytest
from support.spaces import World, run
from support.waiting import wait_until

KINDS = ("tcp", "udp")


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()
    # What a test left attached. A connection whose other end is gone holds its namespace, and so the link, for minutes.
    run("ip", "link", "delete", "group", "25455", check=False)
    wait_until(lambda: "cond" not in run("ip", "-br", "link"))
    run("nft", "flush", "ruleset")


def both(space):
    return space.address, space.address6


def picture():
    """What must be the same before and after."""
    settings = run("sysctl", "-a", "-r", r"^net\.ipv[46]\.(ip_forward|conf\.[a-z0-9]*\.(forwarding|force_forwarding|accept_ra|rp_filter|route_localnet))")
    return (run("nft", "list", "ruleset"), run("ip", "-br", "link"), run("ip", "address"), run("ip", "route", "show", "table", "all"),
            run("ip", "-6", "route", "show", "table", "all"), run("ip", "rule"), settings)


def test_plain_container_and_host_only(world):
    web, db = world.container("web", 7), world.container("db", 300)
    world.host.serve(22)
    world.internet.serve(80)
    world.lan.serve(80)
    for kind in KINDS:
        for address in both(web):
            assert world.host.reaches(address, 80, kind) == "yes"
            assert db.reaches(address, 80, kind) == "refused"
        for address in (world.gateway, world.gateway6, *((f"{world.NET}.2", f"{world.LAN6}2") if kind == "tcp" else ())):
            assert web.reaches(address, 22, kind) == "yes"
        for address in (f"{world.NET}.1", f"{world.NET6}1", f"{world.LAN}.1", f"{world.LAN6}1"):
            assert web.reaches(address, 80, kind) == "refused", address
    for address in both(web):
        assert world.host.pings(address) == "yes"
        assert db.pings(address) == "refused"
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "0\n"


def test_peers_talk_and_stop_at_once(world):
    web = world.container("web", 7)
    db = world.container("db", 9, "peer=7:web")
    open_connections = []
    for here, there in ((web, db), (db, web)):
        for address in both(there):
            assert here.reaches(address, 80, "udp") == here.pings(address) == "yes"
            open_connections.append(here.connect(address, 80))
    passages = world.drive("passages")
    assert {(each["from"], each["to"]) for each in passages} == {(7, 9), (9, 7)}
    assert all(each["bytes"] > 0 for each in passages)
    world.change(db)
    for connection in open_connections:
        with pytest.raises(ConnectionResetError):
            web.exchange(connection)
    assert web.reaches(db.address, 80) == db.reaches(web.address6, 80) == "refused"
    assert {(each["from"], each["to"]) for each in world.drive("refusals")} == {("cond7", "cond9"), ("cond9", "cond7")}


def test_internet_goes_and_comes_with_its_element(world):
    world.internet.serve(80)
    world.lan.serve(80)
    web = world.container("web", 7, "internet=1")
    assert "ip_forward" in world.told
    targets = (f"{world.NET}.1", f"{world.NET6}1", f"{world.LAN}.1", f"{world.LAN6}1")
    for address in targets:
        for kind in KINDS:
            assert web.reaches(address, 80, kind) == "yes", (address, kind)
        assert web.pings(address) == "yes"
    connections = [web.connect(address, 80) for address in targets]
    assert world.internet.exchange(connections[0]) == f"{world.NET}.2"  # the host's address
    assert world.internet.reaches(web.address, 80) != "yes"
    world.change(web)
    for connection in connections:
        with pytest.raises(ConnectionResetError):
            web.exchange(connection)
    assert {web.reaches(address, 80) for address in targets} == {"refused"}


def test_what_is_refused_is_counted_as_refused_alone(world):
    web, db = world.container("web", 7, "internet=1"), world.container("db", 9)
    for address in both(db):
        wait_until(lambda: world.host.reaches(address, 80) == "yes", 10, "its route is there: the kernel makes IPv6's a little later")
        assert web.reaches(address, 80) == web.reaches(address, 80, "udp") == "refused"
    assert [each["packets"] for each in world.drive("passages") if each["from"] == 7] == [0]
    assert sum(each["packets"] for each in world.drive("refusals")) >= 4


def test_host_routes_for_nobody_else(world):
    world.internet.run("ip", "route", "add", "192.168.5.0/24", "via", f"{world.NET}.2")
    world.internet.run("ip", "-6", "route", "add", f"{world.LAN6}/64", "via", f"{world.NET6}2")
    world.internet.serve(80)
    targets = (f"{world.NET}.1", f"{world.NET6}1")
    before = [world.lan.reaches(address, 80) for address in targets]
    assert "yes" not in before
    web = world.container("web", 7, "internet=1", "port=tcp/8080/80")
    assert [world.lan.reaches(address, 80) for address in targets] == before
    run("nft", "flush", "ruleset")
    assert "gone" in world.drive("repair", *world.words(web), "internet=1", "port=tcp/8080/80")[0]
    assert [world.lan.reaches(address, 80) for address in targets] == before
    assert web.reaches(targets[0], 80) == "yes"


def test_published_port_from_everywhere(world):
    ports = ["port=tcp/8080/80", "port=udp/8080/80"]
    web = world.container("web", 7, *ports)
    inside, outside = world.container("inside", 8), world.container("outside", 9, "internet=1")
    places = ((world.host, ("127.0.0.1", f"{world.NET}.2", f"{world.NET6}2")), (world.lan, (f"{world.LAN}.2", f"{world.LAN6}2")),
              (world.internet, (f"{world.NET}.2", f"{world.NET6}2")), (outside, (f"{world.NET}.2", f"{world.NET6}2", world.gateway)))
    for space, addresses in places:
        for address in addresses:
            for kind in KINDS:
                assert space.reaches(address, 8080, kind) == "yes", (space.name, address, kind)
    assert world.host.reaches("::1", 8080) == "refused"
    assert inside.reaches(f"{world.NET}.2", 8080) == "refused"
    assert web.reaches(f"{world.NET}.1", 80) == "refused"
    live = [space.connect(address, 8080) for space, addresses in places for address in addresses]
    direct = world.host.connect(web.address, 80)
    world.change(web, "port=udp/8080/80")
    for connection in live:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            web.exchange(connection)
    assert web.exchange(direct) == world.gateway
    assert world.lan.reaches(f"{world.LAN}.2", 8080) == "refused"
    assert world.lan.reaches(f"{world.LAN}.2", 8080, "udp") == "yes"


def test_published_at_one_address(world):
    web = world.container("web", 7, "port=tcp/8080/80/127.0.0.1", f"port=tcp/8081/80/{world.LAN}.2", f"port=tcp/8082/80/{world.LAN6}2")
    assert world.host.reaches("127.0.0.1", 8080) == "yes"
    assert world.lan.reaches(f"{world.LAN}.2", 8080) == world.internet.reaches(f"{world.NET}.2", 8080) == "refused"
    assert world.lan.reaches(f"{world.LAN}.2", 8081) == world.lan.reaches(f"{world.LAN6}2", 8082) == "yes"
    assert world.internet.reaches(f"{world.NET}.2", 8081) == "refused"
    localnet = Path("/proc/sys/net/ipv4/conf/cond7/route_localnet")
    assert localnet.read_text() == "1\n"
    world.change(web, f"port=tcp/8081/80/{world.LAN}.2")
    assert localnet.read_text() == "0\n", "nothing leads from the loopback any more"
    assert world.lan.reaches(f"{world.LAN}.2", 8081) == "yes"
    world.change(web, "port=tcp/8080/80/127.0.0.1")
    assert localnet.read_text() == "1\n" and world.host.reaches("127.0.0.1", 8080) == "yes"
    refused = world.drive("change", *world.words(web), "port=tcp/8083/80/::1", check=False)
    assert "::1" in refused.stderr and "127.0.0.1" in refused.stderr


def test_port_of_another_container_is_refused_by_name(world):
    world.container("web", 7, "port=tcp/8080/80")
    db = world.container("db", 9)
    done = world.drive("change", *world.words(db), "port=tcp/8080/80", check=False)
    assert done.returncode == 1 and "'web'" in done.stderr and "8080" in done.stderr


def test_withdrawn_internet_ends_detours(world):
    world.container("db", 9, "port=tcp/8080/80")
    web = world.container("web", 7, "internet=1")
    live = web.connect(f"{world.NET}.2", 8080)
    world.change(web)
    with pytest.raises(ConnectionResetError):
        web.exchange(live)


def test_spoofing_and_loopback_of_the_host(world):
    web, db = world.container("web", 7, "port=tcp/8080/80"), world.container("db", 9, "peer=7:web")
    world.host.serve(5000, "127.0.0.1")
    web.run("ip", "route", "add", "127.0.0.99", "via", world.gateway, "dev", "eth0", "onlink")
    web.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    world.host.serve(5001, "127.0.0.99")
    assert web.reaches("127.0.0.99", 5001) == "silence"
    # db takes web's address and hardware address: no answer of the host goes its way.
    web.run("ip", "address", "add", f"{db.address}/32", "dev", "eth0")
    for address in both(db):
        assert world.host.reaches(address, 80) == "yes"
    spoofer = web.make_socket(socket.AF_INET, socket.SOCK_DGRAM)
    spoofer.bind((db.address, 0))
    spoofer.sendto(b"x", (world.gateway, 9))
    assert {"from": "cond7", "to": "cond7", "packets": 1} in world.drive("refusals")


def checksum(data):
    words = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(source, target, port, options=b"", protocol=17, payload=None):
    """IPv4 or IPv6 with a UDP datagram (without a checksum where that is allowed), as it goes over a wire."""
    if payload is None:
        payload = struct.pack("!HHHH", 4000, port, 8 + 5, 0) + b"evil!"
    if ":" in target:
        pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target) + struct.pack("!II", len(payload), 17)
        payload = payload[:6] + struct.pack("!H", checksum(pseudo + payload + bytes(len(payload) % 2))) + payload[8:]
        return struct.pack("!IHBB", 6 << 28, len(payload), 17, 64) + pseudo[:32] + payload
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(payload), 1, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target)) + options
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return head + payload


def test_packets_made_by_hand_lead_nowhere(world):
    """CAP_NET_RAW is in the default set: a container writes what it likes on its wire. It has a published port, so that
    route_localnet is on, and a peer; what it sends must not arrive as anybody else, nor anywhere but where it may."""
    web = world.container("web", 7, "port=tcp/8080/80")
    db, other = world.container("db", 9, "peer=7:web"), world.container("other", 11, "internet=1")
    heard = {}
    port = 5000
    for space, addresses in ((world.host, ("127.0.0.1", "0.0.0.0", "::")), (world.internet, ("0.0.0.0", "::")), (world.lan, ("0.0.0.0", "::")),
                             (other, ("0.0.0.0", "::")), (db, ("0.0.0.0", "::"))):
        for address in addresses:
            made = space.make_socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            if ":" in address:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address, port if address != "127.0.0.1" else port + 1))
            made.setblocking(False)
            heard[space.name or "host", address] = made
    inside_mac, host_mac = bytes.fromhex("02c001000007"), bytes.fromhex("02c000000007")
    wire = web.make_socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind(("eth0", 0))

    def send(ethertype, data, target=host_mac, source=inside_mac):
        wire.send(target + source + struct.pack("!H", ethertype) + data)

    loose = bytes([131, 7, 4]) + socket.inet_aton(other.address) + b"\0"  # loose source route (RFC 791)
    inner = packet(web.address, other.address, port)
    lan, net, lan6, net6 = f"{world.LAN}.2", f"{world.NET}.1", f"{world.LAN6}2", f"{world.NET6}1"
    evil = [packet(web.address, "127.0.0.1", port + 1), packet("127.0.0.1", "127.0.0.1", port + 1), packet("127.0.0.1", world.gateway, port),
            packet(world.gateway, world.gateway, port), packet(world.gateway, db.address, port), packet(db.address, world.gateway, port),
            packet(other.address, net, port), packet(lan, world.gateway, port), packet("0.0.0.0", world.gateway, port),
            packet("255.255.255.255", world.gateway, port), packet("224.0.0.1", world.gateway, port), packet(web.address, other.address, port),
            packet(web.address, net, port), packet(web.address, f"{world.LAN}.1", port), packet(web.address, world.gateway, port, loose),
            packet(web.address, world.gateway, 0, protocol=4, payload=inner), packet(db.address, db.address, port)]
    evil6 = [packet("::1", world.gateway6, port), packet(web.address6, "::1", port), packet(world.gateway6, db.address6, port),
             packet(db.address6, world.gateway6, port), packet(other.address6, net6, port), packet(web.address6, other.address6, port),
             packet(web.address6, net6, port), packet("fe80::7", world.gateway6, port), packet("::", world.gateway6, port),
             packet(lan6, world.gateway6, port)]
    for target in (host_mac, b"\xff" * 6, bytes.fromhex("01005e000001")):
        for data in evil:
            send(0x0800, data, target)
            send(0x8100, struct.pack("!HH", 0, 0x0800) + data, target)  # a VLAN tag of number 0 means no VLAN
        for data in evil6:
            send(0x86DD, data, target)
    send(0x0800, evil[5], source=bytes.fromhex("02c001000009"))
    # What is sent is heard in order: these two come last, and are the only ones to come.
    send(0x0800, packet(web.address, world.gateway, port))
    send(0x0800, packet(web.address, db.address, port))

    def take(name, address):
        try:
            return heard[name, address].recvfrom(100)[1][0]
        except BlockingIOError:
            return None

    for name, address in (("host", "0.0.0.0"), ("db", "0.0.0.0")):
        assert wait_until(lambda: take(name, address), 10, f"{name} hears what it may") == web.address
    assert [(key, heard_of) for key in heard if (heard_of := take(*key))] == []


def full(table_set, first):
    """Fills one of the sets of refusals; dynamic sets take elements by hand too."""
    elements = ", ".join(f'"full{i // 64}" . {first}{i % 64}' for i in range(4096))
    run("nft", "-f", "-", input=f"add element inet conductor {table_set} {{ {elements} }}")


def test_a_full_set_of_refusals_lets_nobody_through(world):
    """Whatever the host's own rp_filter is, and for IPv6 there is none."""
    web, db = world.container("web", 7, "port=tcp/8080/80"), world.container("db", 9)
    run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2")
    full("blocked", "x")
    full("blocked_early", "")
    for forged, gateway in (("203.0.113.77", world.gateway), (db.address6, world.gateway6)):
        six = ":" in forged
        heard = world.host.make_socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        heard.bind(("::" if six else "0.0.0.0", 5000))
        web.run("ip", "address", "add", forged, "dev", "eth0", *(["nodad"] if six else []))
        spoofer = web.make_socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        spoofer.bind((forged, 0))
        spoofer.sendto(b"forged", (gateway, 5000))
        honest = web.make_socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        honest.bind((web.address6 if six else web.address, 0))
        honest.sendto(b"honest", (gateway, 5000))
        assert heard.recv(100) == b"honest"
        heard.close()
        web.run("ip", "address", "delete", f"{forged}/{128 if six else 32}", "dev", "eth0")
    assert db.reaches(web.address, 80) == "refused" and web.reaches(db.address6, 80) == "refused"


def test_a_container_writes_nothing_into_the_table_of_neighbours(world):
    """The kernel's table is one for all links (1024 entries in all): who fills it silences the host's IPv6."""
    web = world.container("web", 7)
    count = lambda: len(run("ip", "neigh", "show", "dev", "cond7").splitlines())
    before = count()
    packets = web.make_socket(socket.AF_PACKET, socket.SOCK_RAW)
    packets.bind(("eth0", 0))
    mac, theirs = bytes.fromhex("02c001000007"), bytes.fromhex("02c000000007")
    to = socket.inet_pton(socket.AF_INET6, world.gateway6)

    def send(source, protocol, checksum_at, body):
        words = source + to + struct.pack(">II", len(body), protocol) + body
        total = sum(struct.unpack(f">{len(words) // 2}H", words))
        while total >> 16:
            total = (total & 0xffff) + (total >> 16)
        body = body[:checksum_at] + struct.pack(">H", ~total & 0xffff) + body[checksum_at + 2:]
        packets.send(theirs + mac + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(body), protocol, 255) + source + to + body)

    for number in range(1, 50):
        local = bytes.fromhex("fe80000000000000") + struct.pack(">Q", number)
        send(local, 58, 2, struct.pack(">BBHI", 135, 0, 0, 0) + to + b"\x01\x01" + mac)  # who has it?
        send(local, 6, 16, struct.pack(">HHIIBBHHH", 1000, 9, 1, 0, 0x50, 2, 1000, 0, 0))  # a connection, to be refused
        sender = struct.pack(">I", 0xC6120000 + number)
        packets.send(b"\xff" * 6 + mac + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + mac + sender + bytes(6) +
                     socket.inet_aton(world.gateway))
    assert web.reaches(world.gateway6, 9) == "refused"  # the host has seen all of that by now
    assert count() == before, run("ip", "neigh", "show", "dev", "cond7")


def test_router_advertisements_are_not_taken(world):
    web = world.container("web", 7)
    for setting in ("accept_ra", "accept_redirects"):
        assert Path(f"/proc/sys/net/ipv6/conf/cond7/{setting}").read_text() == "0\n"
        assert web.run("cat", f"/proc/sys/net/ipv6/conf/eth0/{setting}", check=False) in ("0\n", "1\n")
        assert web.run("sysctl", "-n", f"net.ipv6.conf.eth0.{setting}") == "0\n"
    advertiser = web.make_socket(socket.AF_INET6, socket.SOCK_RAW, 58)
    advertiser.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    web.run("ip", "-6", "address", "add", "fe80::7/64", "dev", "eth0", "nodad")
    before = run("ip", "-6", "route")
    run("sysctl", "-qw", "net.ipv6.conf.cond7.accept_ra=2")  # the rule holds without the setting
    advertiser.bind(("fe80::7", 0, 0, 2))
    advertiser.sendto(bytes([134, 0, 0, 0, 64, 0, 7, 8]) + bytes(8), ("ff02::1", 0, 0, 2))
    assert world.host.reaches(web.address, 80) == "yes"
    assert run("ip", "-6", "route") == before


def test_index_is_taken_and_given_back(world):
    web = world.container("web", 7)
    other = world.drive("attach", "id=" + "f" * 32, "name=other", "index=7", f"ns={web.file}", check=False)
    assert other.returncode == 17 and "cond7" in other.stderr
    # Its own link, or one that is vanishing, is no hindrance.
    again = world.drive("attach", *world.words(web), f"ns={web.file}")
    assert again["host"] == world.gateway
    world.detach(web)
    assert "gone" in json.loads(run("ip", "-j", "link", "show", "cond7"))[0]["ifalias"]
    next_one = world.container("next", 7)
    assert world.host.reaches(next_one.address, 80) == "yes"


def test_everything_is_as_before(world):
    before = picture()
    web = world.container("web", 7, "internet=1", "port=tcp/8080/80")
    db = world.container("db", 9, "peer=7:web", "port=udp/53/53/127.0.0.1")
    world.change(web, "port=tcp/8081/80")
    world.detach(web, "end=now")
    assert "cond7" not in run("ip", "-br", "link")
    assert world.host.reaches(db.address, 80) == "yes"
    world.detach(db, "end=now")
    assert picture() == before


def test_a_change_that_comes_too_late_makes_nothing(world):
    before = picture()
    web = world.container("web", 7)
    world.detach(web)
    world.change(web, "internet=1")
    assert run("nft", "list", "ruleset") == ""
    run("ip", "link", "delete", "cond7")
    world.change(web, "internet=1")
    assert picture() == before


def test_a_failed_attach_leaves_nothing(world):
    before = picture()
    done = world.drive("attach", "id=1", "name=web", "index=7", "ns=/proc/self/ns/net", "port=tcp/80/80/::1", check=False)
    assert done.returncode == 1
    assert picture() == before


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_forward_policy_drop(world, program):
    """As Docker and ufw leave it, in both kinds of iptables and both families."""
    programs = (program, program.replace("iptables", "ip6tables"))
    for each in programs:
        run(each, "-P", "FORWARD", "DROP")
    before = [run(each, "-S") for each in programs]
    try:
        world.internet.serve(80)
        web = world.container("web", 7, "internet=1", "port=tcp/8080/80")
        db = world.container("db", 9, "peer=7:web")
        for address in (f"{world.NET}.1", f"{world.NET6}1"):
            assert web.reaches(address, 80) == "yes"
        assert world.lan.reaches(f"{world.LAN}.2", 8080) == world.lan.reaches(f"{world.LAN6}2", 8080) == "yes"
        assert db.reaches(web.address, 80) == db.reaches(web.address6, 80) == "yes"
        for each in programs:
            rules = run(each, "-S", "FORWARD").splitlines()[1:]
            assert sorted(rules) == [f"-A FORWARD {way} cond+ -m comment --comment conductor -j ACCEPT" for way in ("-i", "-o")]
        remarks = [each for each in world.drive("state")["remarks"] if each["kind"] == "obstacle"]
        assert len(remarks) == 2 and all(each["cured"] for each in remarks), remarks
        world.detach(web, "end=now")
        world.detach(db, "end=now")
        assert [run(each, "-S") for each in programs] == before
    finally:
        for each in programs:
            run(each, "-P", "FORWARD", "ACCEPT")
            run(each, "-F")


def test_docker_user_is_where_docker_wants_it(world):
    run("iptables-nft", "-N", "DOCKER-USER")
    run("iptables-nft", "-A", "FORWARD", "-j", "DOCKER-USER")
    run("iptables-nft", "-P", "FORWARD", "DROP")
    world.container("web", 7, "internet=1")
    assert "-i cond+" in run("iptables-nft", "-S", "DOCKER-USER")
    assert "cond+" not in run("iptables-nft", "-S", "FORWARD")


def test_a_firewall_written_by_hand_is_named_and_left_alone(world):
    run("nft", "-f", "-", input="table inet mine {\nchain routed {\ntype filter hook forward priority 0; policy drop;\n}\n}\n")
    before = run("nft", "list", "table", "inet", "mine")
    world.container("web", 7, "internet=1")
    assert run("nft", "list", "table", "inet", "mine") == before
    remark = next(each for each in world.drive("state")["remarks"] if each["kind"] == "obstacle")
    assert remark["place"] == "table inet mine, chain routed, policy drop" and not remark["cured"]
    for line in remark["hint"].split("; "):
        run("sh", "-c", line)
    assert run("nft", "list", "table", "inet", "mine").count("cond*") == 2


@pytest.mark.parametrize("damage", ["nft flush ruleset", "nft flush chain inet conductor forward", "nft flush set inet conductor internet",
                                    "nft add element inet conductor peers '{ cond7 . cond9 }'", "sysctl -qw net.ipv4.ip_forward=0",
                                    "sysctl -qw net.ipv4.conf.cond9.forwarding=1"])
def test_damage_is_mended_and_told(world, damage):
    world.internet.serve(80)
    web, db = world.container("web", 7, "internet=1"), world.container("db", 9)
    everything = (*world.words(web), "internet=1", "next", *world.words(db))
    assert world.drive("repair", *everything) == []
    whole = run("nft", "-s", "list", "ruleset")
    run("sh", "-c", damage)
    assert world.drive("repair", *everything)
    assert world.drive("repair", *everything) == []
    assert run("nft", "-s", "list", "ruleset") == whole
    assert web.reaches(f"{world.NET}.1", 80) == "yes"
    assert db.reaches(f"{world.NET}.1", 80) == "refused"


def test_leftovers_of_a_killed_container_are_removed(world):
    web, db = world.container("web", 7, "internet=1"), world.container("db", 9)
    web.close()
    wait_until(lambda: "cond7" not in run("ip", "-br", "link"))
    assert world.drive("repair", *world.words(db))
    assert "cond7" not in run("nft", "list", "ruleset")
    db.close()
    wait_until(lambda: "cond9" not in run("ip", "-br", "link"))
    assert world.drive("repair")
    assert run("nft", "list", "ruleset") == ""


def test_somebody_else_comes_to_rely_on_forwarding(world):
    web = world.container("web", 7, "internet=1")
    run("nft", "-f", "-", input="table ip theirs {\nchain post {\ntype nat hook postrouting priority 100\noifname up0 masquerade\n}\n}\n")
    world.change(web, "internet=1")
    assert "for them too" in world.told
    assert run("nft", "list", "chain", "inet", "conductor", "others").count("drop") == 0
    world.detach(web, "end=now")
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"


def test_subnet_avoids_what_the_host_knows(world):
    first = world.container("first", 7)
    chosen = world.gateway
    world.detach(first, "end=now")
    block = ".".join(chosen.split(".")[:2])
    run("ip", "route", "add", f"{block}.128.0/17", "dev", "up0", "table", "77")
    other = world.container("web", 7).address
    assert not other.startswith(block + ".")
    run("ip", "route", "add", "{}.0.0/16".format(".".join(other.split(".")[:2])), "dev", "lan0")
    assert [each["kind"] for each in world.drive("state")["remarks"]] == ["clash"]


def test_the_pool_decides(world):
    first = world.container("first", 7, "pool=10.99.0.0/16")
    assert world.gateway == "10.99.0.1"
    world.detach(first, "end=now")
    done = world.drive("attach", *world.words(first), f"ns={first.file}", "pool=192.168.5.0/24", check=False)
    assert "192.168.5.0/24" in done.stderr


def test_who_listens(world):
    world.host.serve(8080, "127.0.0.1")
    found = world.drive("listener", "port=tcp/8080/80")
    assert found["address"] == "127.0.0.1" and found["pid"] > 0 and found["name"]
    assert world.drive("listener", "port=udp/8080/80")["pid"] == found["pid"]
    assert world.drive("listener", f"port=tcp/8080/80/{world.LAN}.2") is None
    assert world.drive("listener", "port=tcp/8081/80") is None


def test_traffic_is_the_containers_own(world):
    web = world.container("web", 7)
    made = world.host.connect(web.address, 80)
    before = world.drive("traffic")[0]
    made.send(b"x" * 1000)
    assert made.recv(10)
    after = world.drive("traffic")[0]
    assert after["id"] == web.id
    assert after["rx"] - before["rx"] > 1000
    assert world.drive("traffic", "root=" + "f" * 32) is None


def test_a_number_of_another_root_stays_its_own(world):
    """Not even for a moment are its rules away, though no other link is there."""
    run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    web = world.container("web", 7, "internet=1", "port=tcp/8080/80")
    before = run("nft", "list", "table", "inet", "conductor")
    assert world.drive("attach", "id=" + "f" * 32, "name=other", "index=7", f"ns={web.file}", check=False).returncode == 17
    assert run("nft", "list", "table", "inet", "conductor") == before
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert world.host.reaches("127.0.0.1", 8080) == "yes"
