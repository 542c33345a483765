"""Real use of the network: apt in a container with internet, nginx published to the LAN, psql and PostgreSQL as peers.

The packages come from this host's mirror, by way of the container's own network: what RUN fetches passes our rules too.
"""
import http.client

import pytest
from support.namespaces import Namespace, cable
from support.program import Conductor
from support.waiting import wait_until

LONG = dict(timeout=500)
SERVICES = """
FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light postgresql postgresql-client
RUN echo 'served by conductor' > /var/www/html/index.html
RUN cd /etc/postgresql/*/main && echo "listen_addresses = '*'" >> postgresql.conf && \\
    echo 'host all all all trust' >> pg_hba.conf
"""


@pytest.fixture(scope="module")
def box():
    """A root with the image `services`, made once."""
    box = Conductor()
    (box.directory / "Servicesfile").write_text(SERVICES)
    box.ok("build", "services", box.directory / "Servicesfile", **LONG)
    yield box
    box.close()


@pytest.fixture
def containers(box):
    """Removes what a test has started."""
    yield box
    box.remove_containers()


def sh(box, name, script, **options):
    return box.run("exec", name, "--", "sh", "-c", script, **options)


def test_apt_in_a_container_with_internet(containers):
    containers.ok("run", "-d", "services", "client", "--", "sleep", "1000")
    update = "timeout 60 apt-get -o APT::Update::Error-Mode=any update"
    assert sh(containers, "client", update).returncode != 0
    containers.ok("addnetwork", "client", "-i")
    done = sh(containers, "client", update, **LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    containers.ok("delnetwork", "client", "-i")
    assert sh(containers, "client", update).returncode != 0


def test_nginx_is_fetched_from_the_lan(containers):
    host, lan = Namespace.own(), Namespace.new("lan")
    cable(host, "lan0", lan, "eth0", ["192.168.50.1/24"], ["192.168.50.2/24"])
    try:
        containers.ok("run", "-d", "services", "web", "--expose", "80-8080", "--", "nginx", "-g", "daemon off;")

        def page(space, address):
            def fetch():
                connection = http.client.HTTPConnection(address, 8080, timeout=2)
                connection.request("GET", "/")
                return connection.getresponse().read().decode()

            try:
                return space.do(fetch)
            except OSError:
                return None

        wait_until(lambda: page(host, "127.0.0.1"), 30, lambda: "nginx answers")
        assert page(lan, "192.168.50.1") == page(host, "127.0.0.1") == "served by conductor\n"
        containers.ok("delnetwork", "web", "-e", "80-8080")
        assert page(lan, "192.168.50.1") is None and page(host, "127.0.0.1") is None
    finally:
        host.run("ip", "link", "del", "lan0", check=False)
        lan.close()
        host.close()


def test_psql_reaches_postgresql_by_name_while_they_are_peers(containers):
    containers.ok("run", "-d", "services", "db", "-u", "postgres", "--", "sh", "-c",
                  "exec /usr/lib/postgresql/*/bin/postgres -c config_file=$(echo /etc/postgresql/*/main/postgresql.conf)")
    containers.ok("run", "-d", "services", "app", "--", "sleep", "1000")
    for name in ("db", "app"):
        containers.ok("addnetwork", name)
    ask = "psql -h db -U postgres -Atc 'select 6*7'"
    assert sh(containers, "app", ask).returncode != 0
    containers.ok("peer", "app", "db")
    wait_until(lambda: sh(containers, "app", ask).stdout == "42\n", 30, lambda: sh(containers, "app", ask).stderr)
    containers.ok("unpeer", "app", "db")
    assert sh(containers, "app", ask + " ; true", timeout=20).stdout == ""
