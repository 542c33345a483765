"""What programs expect of a container without a network, as users of docker are used to it."""
import subprocess


def write(conductor, name, text):
    path = conductor.directory / name
    path.write_text(text)
    return path


def test_localhost_has_a_name(box):
    assert "127.0.0.1" in box.ok("run", "--rm", box.image, "--", "ping", "-c", "1", "localhost")
    script = "mkdir /tmp/w; echo page > /tmp/w/index.html; httpd -p 8080 -h /tmp/w; wget -q -O - http://localhost:8080/"
    assert box.ok("run", "--rm", box.image, "--", "sh", "-c", script) == "page\n"


def test_an_image_without_hosts_gets_them_with_its_own_name(conductor):
    for name, cure in (("missing", "rm /etc/hosts"), ("empty", ": > /etc/hosts")):
        conductor.ok("build", name, write(conductor, name, f"FROM busybox\nRUN --network=none {cure}\n"))
        conductor.ok("run", "-d", name, f"web-{name}", "--", "sleep", "1000")
        hosts = [line.split() for line in conductor.ok("exec", f"web-{name}", "--", "cat", "/etc/hosts").splitlines()]
        assert ["127.0.0.1", "localhost"] in hosts and ["127.0.1.1", f"web-{name}"] in hosts
        conductor.ok("exec", f"web-{name}", "--", "sh", "-c", "echo 127.0.0.2 mine >> /etc/hosts")
        conductor.ok("addnetwork", f"web-{name}")  # from now on they are those that know who may be talked to
        assert f"web-{name}" in conductor.ok("exec", f"web-{name}", "--", "cat", "/etc/hosts")
        assert "hosts" not in conductor.ok("diff", f"web-{name}")


def test_an_image_that_has_hosts_keeps_them(conductor):
    conductor.ok("build", "own", write(conductor, "own", "FROM busybox\nRUN --network=none echo 192.0.2.7 mine > /etc/hosts\n"))
    assert conductor.ok("run", "--rm", "own", "--", "cat", "/etc/hosts") == "192.0.2.7 mine\n"


def test_any_user_has_ports_below_1024_and_echo_sockets(box):
    for options in ([], ["--userns", "host"]):
        script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; (echo hi | nc -l -p 80) & "
        script += "until nc -w 5 127.0.0.1 80 < /dev/null 2> /dev/null; do sleep 0.05; done"
        out = box.ok("run", "--rm", "-u", "1000:1000", *options, box.image, "--", "sh", "-c", script)
        assert out == "0\nhi\n"
        group = box.ok("run", "--rm", *options, box.image, "--", "cat", "/proc/sys/net/ipv4/ping_group_range").split()
        assert group[0] == "0" and int(group[1]) >= 65535


def test_the_hosts_own_settings_stay(box):
    def settings():
        return subprocess.run(["sysctl", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"], capture_output=True,
                              text=True, check=True).stdout
    before = settings()
    box.ok("run", "--rm", "--network", "host", box.image, "--", "true")
    box.ok("run", "--rm", box.image, "--", "true")
    assert settings() == before
