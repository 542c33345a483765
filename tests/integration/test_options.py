"""What the options of run do, seen from inside the container and from the host."""
import os
import re
import stat

import pytest
from support import host


@pytest.fixture
def box(conductor):
    conductor.busybox_image("box")
    return conductor


def shell(box, script, *options):
    """What a script prints in a container that is gone afterwards."""
    return box.ok("run", "box", "--rm", *options, "--", "sh", "-c", script)


@pytest.fixture
def shared(conductor):
    directory = conductor.directory / "shared"
    directory.mkdir()
    (directory / "file").write_text("of the host\n")
    os.chown(directory / "file", 1234, 2345)
    return directory


def test_a_volume_shows_the_hosts_files_with_their_owners(box, shared):
    assert shell(box, "cat /data/file; stat -c '%u %g' /data/file", "-v", f"{shared}:/data") == "of the host\n1234 2345\n"


def test_what_is_written_to_a_volume_belongs_to_the_writer_and_stays(box, shared):
    os.chmod(shared, 0o777)
    shell(box, "echo new > /data/new", "-v", f"{shared}:/data", "-u", "1000:1001")
    status = (shared / "new").stat()
    assert (status.st_uid, status.st_gid) == (1000, 1001)


def test_a_read_only_volume_cannot_be_written(box, shared):
    assert "refused" in shell(box, "(echo x > /data/file) 2>/dev/null || echo refused", "-v", f"{shared}:/data:ro")
    assert (shared / "file").read_text() == "of the host\n"


def test_a_single_file_is_a_volume(box, shared):
    assert shell(box, "cat /etc/one", "-v", f"{shared}/file:/etc/one") == "of the host\n"


def test_setuid_programs_and_devices_of_a_volume_have_no_effect(box, shared):
    os.mknod(shared / "node", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    out = shell(box, "grep ' /data ' /proc/mounts; (echo x > /data/node) 2>/dev/null || echo refused", "-v", f"{shared}:/data")
    assert "nosuid" in out and "nodev" in out and out.endswith("refused\n")


def test_a_volume_that_is_not_there_is_an_error_with_a_cure(box):
    said = box.fails("run", "box", "web", "-v", "/nothing/here:/data", "--", "true", status=125)
    assert "/nothing/here" in said and "hint: a directory or file of this host must be there" in said
    assert box.json("ps", "-a") == []


def test_a_volume_whose_ids_cannot_be_mapped_is_named_as_it_was_written(box):
    said = box.fails("run", "box", "web", "-v", "/dev:/d", "--", "true", status=125)
    assert "mount /dev at /d: map the ids of /dev: Invalid argument" in said
    assert "hint: its file system, or one mounted below it, may not support id-mapped mounts" in said


@pytest.mark.parametrize("option", [["-v", "/tmp:/"], ["-v", "/tmp:/a/.."], ["--tmpfs", "/"]], ids=" ".join)
def test_nothing_is_mounted_over_the_whole_root(box, option):
    assert "is the whole root directory" in box.fails("run", "box", *option, "--", "true", status=2)


def numbers(path):
    status = os.stat(path)
    return f"{os.major(status.st_rdev):x}:{os.minor(status.st_rdev):x}"


def test_a_device_keeps_its_directory_below_dev(box):
    """And the directory is the container's root's, as all of /dev."""
    out = shell(box, "stat -c '%n %t:%T %a' /dev/net/tun; stat -c '%a %u:%g' /dev/net; test -e /dev/tun || echo only there",
                "--device", "/dev/net/tun")
    assert out == f"/dev/net/tun {numbers('/dev/net/tun')} 666\n755 0:0\nonly there\n"
    box.ok("run", "box", "--rm", "--device", "/dev/net/tun", "--", "sh", "-c", ": <> /dev/net/tun")


def test_a_device_from_elsewhere_lies_in_dev_itself(box):
    node = box.directory / "nodes/mine"
    node.parent.mkdir()
    os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 7))
    assert shell(box, "stat -c '%n %t:%T' /dev/mine", "--device", node) == "/dev/mine 1:7\n"


def test_a_device_that_is_there_already_is_no_failure(box):
    options = ["--device", "/dev/null", "--device", "/dev/net/tun", "--device", "/dev/net/tun"]
    assert shell(box, "echo x > /dev/null; ls /dev/net", *options) == "tun\n"


def test_a_device_may_have_another_place_and_less_access(box):
    """The rule holds for whoever has the node, root inside too."""
    script = "stat -c '%n %t:%T' /dev/net/other; (: > /dev/net/other) 2>/dev/null || echo not written; test -e /dev/net/tun || echo no"
    out = shell(box, script, "--device", "/dev/net/tun:/dev/net/other:r")
    assert out == f"/dev/net/other {numbers('/dev/net/tun')}\nnot written\nno\n"
    assert shell(box, ": < /dev/net/other && echo read", "--device", "/dev/net/tun:/dev/net/other:rw") == "read\n"


@pytest.mark.parametrize("device, said", [("fuse", "absolute"), ("/dev/net/tun:x", "r, w and m"), ("/dev/net/tun:/tmp/x", "below /dev"),
                                          ("/dev/net/tun:/dev/", "below /dev"), ("/dev/net/tun:/dev/../x", "below /dev"),
                                          ("/dev/net/tun:", "r, w and m"), ("/dev/net/tun:/dev/x:", "r, w and m"),
                                          ("/dev/net/tun:/dev/x:rz", "r, w and m")])
def test_a_device_that_cannot_be_understood_is_wrong_usage(box, device, said):
    assert said in box.fails("run", "box", "web", "--device", device, "--", "true", status=2)


def test_what_is_dev_of_the_container_cannot_be_passed_in(box):
    said = box.fails("run", "box", "web", "--device", "/dev/pts/ptmx", "--", "true", status=125)
    assert "/dev/pts of a container is its own" in said
    assert box.json("ps", "-a") == []


def test_the_message_queues_belong_to_the_containers_root(box):
    for options in ([], ["--userns", "host"]):
        assert shell(box, "stat -c '%u:%g %a' /dev/mqueue", *options) == "0:0 1777\n"


def test_a_tmpfs_is_empty_and_writable_below_a_read_only_root(box):
    out = shell(box, "touch /x 2>/dev/null || echo refused; touch /t/x && ls /t", "--read-only", "--tmpfs", "/t")
    assert out == "refused\nx\n"


def test_variables_come_from_options_and_from_a_file(box):
    file = box.directory / "variables"
    file.write_text("# a comment\nFROM_FILE=a b=c\n\nBOTH=file\n")
    out = shell(box, "echo \"$FROM_FILE|$BOTH|$WORD\"", "--env-file", file, "--env", "BOTH=option", "--env", "WORD=x y")
    assert out == "a b=c|option|x y\n"


def test_working_directory_user_and_host_name(box):
    assert shell(box, "pwd; id -u; id -g; hostname", "-w", "/bin", "-u", "12:34", "--hostname", "here") == "/bin\n12\n34\nhere\n"


def test_labels_are_kept_and_found(box):
    box.ok("run", "-d", "box", "web", "--label", "team=blue", "--", "sleep", "1000")
    assert [c["name"] for c in box.json("ps", "--filter", "label=team=blue")] == ["web"]
    assert box.json("ps", "--filter", "label=team=red") == []


EATER = "x=$(yes | head -c 100000000)"


def told_of_memory(said):
    """What the line on stderr says of the exit, where it names who was killed as far as the kernel's log is readable."""
    exit_text, victims = re.search(r"^conductor: '[^']+': (.*): out of memory(.*)$", said, re.M).groups()
    assert victims == (" ('sh' killed)" if os.access("/dev/kmsg", os.R_OK) else "")
    return exit_text


def test_a_child_that_is_killed_for_memory_is_told_too(box):
    done = box.run("run", "box", "--rm", "--memory", "16M", "--", "sh", "-c", f"({EATER}); echo $?; exit 0")
    assert (done.returncode, done.stdout, told_of_memory(done.stderr)) == (0, "137\n", "exit 0")


def test_more_memory_than_allowed_ends_the_container_and_says_why(box):
    done = box.run("run", "box", "web", "--memory", "16M", "--", "sh", "-c", EATER)
    assert done.returncode == 137 and told_of_memory(done.stderr) == "exit 137"
    web = box.json("inspect", "web")
    assert (web["state"], web["exit_code"], web["oom_killed"], web["why"]) == ("exited", 137, True, "out of memory")


def test_more_processes_than_allowed_cannot_be_made(box):
    done = box.run("run", "box", "--rm", "--pids", "5", "--", "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 1000 & done")
    assert "can't fork: Resource temporarily unavailable" in done.stdout + done.stderr


def test_a_network_of_ones_own_has_only_the_loopback(box):
    assert shell(box, "ls /sys/class/net; cat /sys/class/net/lo/flags") == "lo\n0x9\n"


def test_the_last_container_that_wrote_something_takes_the_groups_along(box):
    """Its layer is taken apart at once then, not behind the verb."""
    shell(box, "touch /written")
    assert host.cgroups(box.id()) == []
