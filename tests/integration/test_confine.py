"""What a container is confined to, seen from inside, against the defaults of the isolation table."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.probe import compile_probe

DEFAULT_CAPABILITIES = 0x800425FB
MASKED = "acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats".split()
READ_ONLY = "bus fs irq sys sysrq-trigger".split()


@pytest.fixture
def box(conductor):
    conductor.busybox_image("box")
    return conductor


def inside(conductor, *command, options=(), **more):
    return conductor.ok("run", "box", "--rm", *options, "--", *command, **more)


def shell(conductor, script, options=(), **more):
    return inside(conductor, "sh", "-c", script, options=options, **more)


def fields(text):
    """/proc/PID/status as a dictionary."""
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def status_of(conductor, *options):
    return fields(inside(conductor, "cat", "/proc/self/status", options=options))


def check_root_is_confined(status):
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[name], 16) == DEFAULT_CAPABILITIES, name
    assert int(status["CapInh"], 16) == 0
    assert int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["SigIgn"], 16) == 0
    assert int(status["SigBlk"], 16) == 0
    assert status["Umask"] == "0022"


def test_root_in_run_has_the_default_capabilities_and_a_filter(box):
    check_root_is_confined(status_of(box))


def test_signals_ignored_by_the_caller_are_not_ignored_inside(box):
    # Python ignores SIGPIPE and SIGXFSZ, and leaves it so for this child.
    check_root_is_confined(fields(inside(box, "cat", "/proc/self/status", restore_signals=False)))


def test_exec_is_confined_as_run_is(box):
    box.ok("run", "box", "one", "-d", "--", "sleep", "1000")
    check_root_is_confined(fields(box.ok("exec", "one", "--", "cat", "/proc/self/status")))


def test_a_build_step_is_confined_as_run_is(conductor):
    file = conductor.directory / "Stepfile"
    file.write_text('FROM busybox\nRUN ["cp", "/proc/self/status", "/status"]\n')
    conductor.ok("build", "step", file)
    check_root_is_confined(fields(conductor.ok("run", "step", "--rm", "--", "cat", "/status")))


def test_another_user_has_no_capabilities(box):
    status = status_of(box, "-u", "1000:1001")
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1001"] * 4
    assert status["Groups"].split() == ["1001"]
    for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name


def test_capabilities_are_added_and_dropped_by_name(box):
    assert int(status_of(box, "--cap-add", "NET_ADMIN")["CapEff"], 16) == DEFAULT_CAPABILITIES | 1 << 12
    assert int(status_of(box, "--cap-drop", "ALL")["CapBnd"], 16) == 0
    assert int(status_of(box, "--cap-drop", "ALL", "--cap-add", "chown")["CapEff"], 16) == 1


def test_a_wrong_capability_is_wrong_usage(box):
    assert "NET_ADMIN" in box.fails("run", "box", "--rm", "--cap-add", "NET_ADMN", "--", "true", status=2)


def test_new_privileges_and_the_filter_can_be_loosened_by_name(box):
    assert status_of(box, "--allow-new-privileges")["NoNewPrivs"] == "0"
    assert status_of(box, "--allow-new-privileges")["Seccomp"] == "2"
    assert status_of(box, "--seccomp", "unconfined")["Seccomp"] == "0"


def test_a_profile_file_decides(box):
    profile = box.directory / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":'
                       ' [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}')
    assert "No space left" in shell(box, "mkdir /x 2>&1; true", options=["--seccomp", profile])


def test_podmans_own_profile_lets_programs_run_and_nothing_worse(box):
    profile = ["--seccomp", "/usr/share/containers/seccomp.json"]
    script = ("mkdir /d && cd /d && (echo a; echo b) | sort -r > f && tar c f | tar t && id -u && ps | wc -l > /dev/null && "
              "ping -c 1 127.0.0.1 > /dev/null && su -c 'echo su' root; mount -t tmpfs t /d 2>/dev/null || echo no mount; "
              "unshare -m true 2>/dev/null || echo no unshare")
    assert shell(box, script, options=profile) == "f\n0\nsu\nno mount\nno unshare\n"
    assert status_of(box, *profile)["Seccomp"] == "2"


def test_a_profile_that_cannot_be_read_says_where(box):
    profile = box.directory / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERNO"}]}')
    said = box.fails("create", "box", "one", "--seccomp", profile)
    assert f"{profile}: syscalls[0].action: 'SCMP_ACT_ERNO' is no seccomp action" in said and "SCMP_ACT_ERRNO" in said


def forbid(profile, call):
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":'
                       f' [{{"names": ["{call}", "{call}at"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}}]}}')


def test_a_profile_counts_by_what_is_in_it_and_not_by_its_name(box):
    """Written anew under the same name, even of the same size and time, it is another profile at the next start."""
    profile = box.directory / "profile.json"
    tell = "mkdir /x 2>/dev/null || echo no mkdir; mknod /p p 2>/dev/null || echo no mknod"
    forbid(profile, "mkdir")
    before = profile.stat()
    assert shell(box, tell, options=["--seccomp", profile]) == "no mkdir\n"
    forbid(profile, "mknod")
    os.utime(profile, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert profile.stat().st_size == before.st_size
    assert shell(box, tell, options=["--seccomp", profile]) == "no mknod\n"


def test_a_profile_beside_us_is_found_by_later_verbs_elsewhere(box):
    forbid(box.directory / "profile.json", "mkdir")
    box.ok("run", "box", "one", "-d", "--seccomp", "profile.json", "--", "sleep", "1000", cwd=box.directory)
    assert "No space left" in box.run("exec", "one", "--", "mkdir", "/x", cwd="/").stderr


def test_masked_paths_of_proc_are_empty(box):
    # "yes" for each that is there and gives nothing away.
    script = "; ".join(f'if [ -d /proc/{p} ]; then echo {p} $(ls -A /proc/{p} | wc -l);'
                       f' elif [ -e /proc/{p} ]; then echo {p} $(head -c 100 /proc/{p} | wc -c); fi' for p in MASKED)
    found = dict(line.split() for line in shell(box, script).splitlines())
    assert set(found) == {p for p in MASKED if os.path.exists(f"/proc/{p}")}
    assert set(found.values()) <= {"0"}


def test_masked_paths_of_sys_are_empty(box):
    for path in ("/sys/firmware", "/sys/devices/virtual/powercap", "/sys/fs/selinux"):
        assert shell(box, f"[ -d {path} ] && ls -A {path}; true") == ""


@pytest.mark.parametrize("path", READ_ONLY)
def test_read_only_paths_of_proc_are_mounted_so(box, path):
    if not os.path.exists(f"/proc/{path}"):
        return  # nothing to protect on this kernel
    mounts = [line.split() for line in inside(box, "cat", "/proc/self/mountinfo").splitlines()]
    options = [m[5].split(",") for m in mounts if m[4] == f"/proc/{path}"]
    assert options and "ro" in options[-1]


def test_the_kernel_cannot_be_set_from_inside(box):
    for write in ("echo b > /proc/sysrq-trigger", "echo x > /proc/sys/kernel/hostname",
                  "echo '|/x' > /proc/sys/kernel/core_pattern", "echo 1 > /sys/kernel/uevent_helper"):
        assert "failed" in shell(box, f"({write}) 2>/dev/null || echo failed")


def test_proc_and_sys_carry_no_programs_and_no_devices(box):
    mounts = {m.split()[4]: m.split()[5].split(",") for m in inside(box, "cat", "/proc/self/mountinfo").splitlines()}
    assert {"nosuid", "nodev", "noexec"} <= set(mounts["/proc"])
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(mounts["/sys"])


def test_nothing_below_the_cgroup_tree_can_be_written(box):
    out = shell(box, "mkdir /sys/fs/cgroup/x 2>/dev/null && echo made;"
                     " for f in $(find /sys/fs/cgroup -type f 2>/dev/null); do (echo 1 > $f) 2>/dev/null && echo $f; done; true")
    assert out == ""


def test_dev_holds_what_the_table_says_and_no_more(box):
    assert set(inside(box, "ls", "/dev").split()) == {
        "null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx", "shm", "mqueue", "fd", "stdin", "stdout",
        "stderr"}


def test_device_nodes_have_the_right_numbers_and_modes(box):
    out = shell(box, "cd /dev; stat -c '%n %t:%T %a %F' null zero full random urandom tty")
    assert out.splitlines() == [f"{name} {number} 666 character special file" for name, number in (
        ("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0"))]
    assert shell(box, "echo x > /dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c") == "4\n4\n"


def test_no_device_can_be_made(box):
    assert "failed" in shell(box, "mknod /disk b 8 0 2>/dev/null || echo failed")


def test_no_descriptor_of_the_host_is_inherited(box):
    with open("/etc/hostname", encoding="utf-8") as file:
        os.set_inheritable(file.fileno(), True)
        listing = inside(box, "ls", "-l", "/proc/self/fd", pass_fds=[file.fileno()])
    numbers = {int(number) for number in re.findall(r" (\d+) -> ", listing)}
    assert numbers <= {0, 1, 2, 3}  # 3 is the listing itself
    assert "/etc/hostname" not in listing


def test_limits_have_their_defaults(box):
    limits = {line[:25].strip(): line[25:].split() for line in inside(box, "cat", "/proc/self/limits").splitlines()}
    assert limits["Max open files"][0] == "1024"
    assert limits["Max core file size"][:2] == ["0", "0"]


def test_a_limit_can_be_set(box):
    limits = inside(box, "cat", "/proc/self/limits", options=["--ulimit", "nofile=64:128"])
    assert re.search(r"Max open files\s+64\s+128\s", limits)


def test_a_limit_above_the_hosts_is_lowered_and_no_failure(box):
    limits = inside(box, "cat", "/proc/self/limits", options=["--ulimit", "nofile=1024:99999999"])
    assert re.search(r"Max open files\s+1024\s+\d+\s", limits)


def test_each_container_has_a_range_of_its_own(box):
    box.ok("run", "box", "one", "-d", "--", "sleep", "1000")
    box.ok("run", "box", "two", "-d", "--", "sleep", "1000")
    starts = set()
    for name in ("one", "two"):
        first, outside, count = map(int, box.ok("exec", name, "--", "cat", "/proc/self/uid_map").split())
        assert (first, count) == (0, 65536) and outside >= 65536
        starts.add(outside)
    assert len(starts) == 2


def test_files_on_disk_have_the_ids_of_the_image(box):
    box.ok("run", "box", "one", "-d", "--", "sh", "-c", "touch /by-root /by-user; chown 1000:1001 /by-user; exec sleep 1000")
    box.ok("exec", "one", "--", "sh", "-c", "until [ $(stat -c %u /by-user) = 1000 ]; do :; done")
    owners = {name: [(f.stat().st_uid, f.stat().st_gid) for f in box.root.rglob(name)] for name in ("by-root", "by-user")}
    assert owners == {"by-root": [(0, 0)], "by-user": [(1000, 1001)]}


def test_the_default_filter_answers_as_its_table(conductor):
    context = conductor.directory / "context"
    context.mkdir()
    compile_probe(context)
    (context / "Conductorfile").write_text("FROM busybox\nCOPY probe /probe\n")
    conductor.ok("build", "probe", context / "Conductorfile")
    answers = dict(line.split() for line in conductor.ok("run", "probe", "--rm", "--", "/probe").splitlines())
    for name in ("socket-inet", "socket-route", "unshare-files"):
        assert answers.pop(name) == "ok", name
    for name in ("socket-alg", "socket-alg-high-bits", "socket-vsock"):
        assert answers.pop(name) == "EAFNOSUPPORT", name
    assert answers.pop("socket-audit") == "EINVAL"
    for name in ("clone3", "no-such-call"):
        assert answers.pop(name) == "ENOSYS", name
    assert set(answers.values()) == {"EPERM"}, answers
    if os.uname().machine == "x86_64":
        conductor.fails("run", "probe", "--rm", "--", "/probe", "old-architecture", status=128 + 31)  # SIGSYS


@pytest.mark.parametrize("user", ["0x0", "+1", "-1", "4294967295", "4294967296", "1000:", "1000:-1", "nobody-here"])
def test_odd_users_are_refused(box, user):
    assert "user" in box.fails("run", "box", "--rm", f"--user={user}", "--", "true", status=126)


def test_a_number_is_a_number_even_where_somebody_is_named_so(conductor):
    file = conductor.directory / "Userfile"
    file.write_text("FROM busybox\n"
                    "RUN printf 'root:x:0:0::/root:/bin/sh\\n1000:x:7:7::/:\\nweb:x:33:34::/www:\\n' > /etc/passwd"
                    " && printf 'web:x:34:\\nextra:x:60:web\\n' > /etc/group\n")
    conductor.ok("build", "users", file)

    def ids(user):
        return conductor.ok("run", "users", "--rm", "-u", user, "--", "sh", "-c", "echo $(id -u) $(id -g) $HOME $(grep Groups /proc/self/status)").split()

    assert ids("1000")[:2] == ["1000", "0"]
    assert ids("web") == ["33", "34", "/www", "Groups:", "34", "60"]
    assert ids("web:extra") == ["33", "60", "/www", "Groups:", "60"]


def test_commands_that_cannot_run_end_with_126_or_127(box):
    assert "no such program" in box.fails("run", "box", "--rm", "--", "there-is-none", status=127)
    assert "is a directory" in box.fails("run", "box", "--rm", "--", "/etc", status=126)


def test_nothing_of_the_callers_environment_shows_inside(box):
    assert "SECRET" not in inside(box, "env", env={"SECRET": "x"})


def copy_with_libraries(tree, *paths):
    """Puts files of the host into a tree at their own paths, with all the libraries that they load."""
    wanted = set(paths)
    for path in paths:
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        wanted |= set(re.findall(r"(/\S+) \(0x", listing))
    for path in wanted:
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def test_su_from_root_works(conductor):
    """With no_new_privs a setuid su gains nothing, but root needs it for nothing either. PAM looks for an audit socket
    on the way, and gives up unless that is refused in the one way that it knows."""
    context = conductor.directory / "context"
    modules = [str(m) for m in Path("/").glob("lib/*/security/pam_*.so") if m.stem in ("pam_rootok", "pam_permit", "pam_unix")]
    copy_with_libraries(context / "tree", shutil.which("su"), *modules)
    etc = context / "tree/etc"
    (etc / "pam.d").mkdir(parents=True)
    (etc / "pam.d/su").write_text("auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required pam_unix.so\n")
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (context / "Conductorfile").write_text("FROM busybox\nCOPY tree /\n")
    conductor.ok("build", "pam", context / "Conductorfile")
    su = shutil.which("su")
    out = conductor.ok("run", "pam", "--rm", "--", su, "-s", "/bin/sh", "nobody", "-c", "id -u; grep CapEff /proc/self/status")
    assert out.split() == ["65534", "CapEff:", "0000000000000000"]
