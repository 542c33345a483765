"""What ps, stats and top tell, held against the kernel and against CLI.md's shapes."""
import os
import re
from pathlib import Path

import pytest
from support.waiting import wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PS_KEYS = {"name", "id", "image", "state", "pid", "exit_code", "oom_killed", "created", "started", "finished", "command",
           "networks", "limits"}
STATS_KEYS = {"name", "cpu_percent", "memory_bytes", "memory_limit_bytes", "pids", "throttled_percent", "io_read_bytes",
              "io_write_bytes", "interfaces"}
INTERFACE_KEYS = {"name", "rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_dropped", "tx_dropped"}
TOP_KEYS = {"pid", "host_pid", "ppid", "user", "state", "cpu_percent", "rss_bytes", "command"}


@pytest.fixture
def web(conductor):
    """A root with one running container, `web`."""
    conductor.image = conductor.busybox_image()
    conductor.ok("run", "-d", conductor.image, "web", "--pids", "64", "--", "sleep", "1000")
    return conductor


def only(documents):
    assert len(documents) == 1, documents
    return documents[0]


def status_field(pid, key):
    return re.search(rf"^{key}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def test_ps_of_nothing_is_an_empty_array(conductor):
    assert conductor.json("ps", "-a") == []


def test_ps_shows_a_running_container_with_the_hosts_pid(web):
    container = only(web.json("ps"))
    assert set(container) >= PS_KEYS
    assert (container["name"], container["state"], container["exit_code"]) == ("web", "running", 0)
    assert re.fullmatch("[0-9a-f]{32}", container["id"])
    assert TIME.fullmatch(container["created"]) and TIME.fullmatch(container["started"])
    assert container["finished"] is None
    assert container["command"] == ["sleep", "1000"]
    assert container["limits"] == {"memory_bytes": None, "cpus": None, "pids": 64}
    assert status_field(container["pid"], "NSpid").split()[1] == "1"


def test_inspect_has_every_field_of_ps_in_the_same_form(web):
    container, whole = only(web.json("ps")), web.json("inspect", "web")
    assert container.pop("limits").items() <= whole["limits"].items()
    assert container.items() <= whole.items()


def test_ps_hides_and_ps_a_shows_what_has_exited(web):
    web.run("run", web.image, "once", "--", "sh", "-c", "exit 3")
    assert [c["name"] for c in web.json("ps")] == ["web"]
    once = next(c for c in web.json("ps", "-a") if c["name"] == "once")
    assert (once["state"], once["exit_code"], once["pid"]) == ("exited", 3, 0)
    assert TIME.fullmatch(once["finished"])


def test_ps_of_a_container_whose_process_was_killed_says_exited(web):
    os.kill(only(web.json("ps"))["pid"], 9)
    web.wait_for_state("web", "exited")
    assert next(c for c in web.json("ps", "-a"))["exit_code"] == 137


def test_two_roots_do_not_see_each_other(web, tmp_path):
    done = web.run("--root", tmp_path / "root", "--run", tmp_path / "run", "ps", "-a", "--json")
    assert done.returncode == 0 and done.stdout.strip() == "[]"


def test_stats_have_the_shape_of_the_contract(web):
    stats = only(web.json("stats"))
    assert set(stats) >= STATS_KEYS
    assert stats["name"] == "web" and stats["pids"] == 1 and stats["memory_limit_bytes"] is None
    assert 0 < stats["memory_bytes"] < 64 << 20
    assert [i["name"] for i in stats["interfaces"]] == ["lo"]
    assert set(stats["interfaces"][0]) >= INTERFACE_KEYS


def test_stats_count_a_busy_process(web):
    web.ok("exec", "-d", "web", "--", "sh", "-c", "while :; do :; done")
    wait_until(lambda: only(web.json("stats"))["cpu_percent"] > 10, 20, "the loop shows in cpu_percent")
    assert only(web.json("stats"))["pids"] == 2


def test_stats_leave_out_what_does_not_run(web):
    web.ok("stop", "--keep", "-t", "0", "web")
    assert web.json("stats") == []


def test_stats_show_the_memory_limit(web):
    web.ok("run", "-d", web.image, "small", "--memory", "64M", "--", "sleep", "1000")
    small = next(s for s in web.json("stats") if s["name"] == "small")
    assert small["memory_limit_bytes"] == 64 << 20


def test_stats_count_disk_traffic_or_say_why_not(web):
    web.ok("exec", "web", "--", "dd", "if=/dev/zero", "of=/data", "bs=64k", "count=16", "conv=fsync")
    stats = only(web.json("stats"))
    controllers = [Path(f"/sys/fs/cgroup{place}/cgroup.controllers") for place in ("", "/unified")]
    if any("io" in file.read_text().split() for file in controllers if file.exists()):
        assert stats["io_write_bytes"] >= 1 << 20 and "io_reason" not in stats
    else:
        assert (stats["io_read_bytes"], stats["io_write_bytes"]) == (None, None)
        assert "no io controller" in stats["io_reason"]


def test_inspect_gives_figures_as_numbers_and_no_limit_as_null(web):
    web.ok("run", "-d", web.image, "small", "--memory", "64M", "--cpus", "0.5", "--", "sleep", "1000")
    big, small = (web.json("inspect", name) for name in ("web", "small"))
    assert [big["limits"][key] for key in ("memory_bytes", "pids", "cpus")] == [None, 64, None]
    assert [small["limits"][key] for key in ("memory_bytes", "pids", "cpus")] == [64 << 20, None, 0.5]
    for which in ("uid_map", "gid_map"):
        (ranges,) = small["in_force"][which]
        assert ranges == {"inside": 0, "host": ranges["host"], "count": 65536} and ranges["host"] >= 65536


def test_top_numbers_processes_as_the_container_does(web):
    web.ok("exec", "-d", "web", "--", "sh", "-c", "sleep 2000 & wait")
    wait_until(lambda: len(web.json("top", "web")) == 3, 10, "three processes inside")
    first, shell, sleep = sorted(web.json("top", "web"), key=lambda p: p["pid"])
    assert set(first) >= TOP_KEYS
    assert (first["pid"], first["ppid"], first["user"], first["state"]) == (1, 0, "root", "S")
    assert first["host_pid"] == only(web.json("ps"))["pid"]
    assert sleep["ppid"] == shell["pid"] and sleep["command"] == "sleep 2000"
    assert first["rss_bytes"] > 0
    for process in (shell, sleep):
        assert status_field(process["host_pid"], "NSpid").split()[1] == str(process["pid"])


def test_top_gives_a_user_by_its_number_inside(web):
    web.ok("exec", "-d", "-u", "1234", "web", "--", "sleep", "3000")
    wait_until(lambda: any(p["user"] == "1234" for p in web.json("top", "web")), 10, "user 1234 is shown")


def test_top_of_a_stopped_container_fails_with_a_sentence(web):
    web.ok("stop", "--keep", "-t", "0", "web")
    assert "web" in web.fails("top", "web")


def test_a_hostile_command_line_reaches_the_terminal_only_visibly(web):
    web.ok("exec", "-d", "web", "--", "sh", "-c", "sleep 4000; true", "\x1b[31mred")
    wait_until(lambda: any("\x1b[31mred" in p["command"] for p in web.json("top", "web")), 10, "the process runs")
    shown = web.ok("top", "web")
    assert "\x1b" not in shown and "red" in shown
