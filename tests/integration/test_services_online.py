"""Services of Debian in a default container, as they are installed: the most telling of those that were tried."""


def test_a_login_by_ssh_and_a_users_ping(conductor):
    file = conductor.directory / "File"
    file.write_text("FROM debian:bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends openssh-server "
                    "openssh-client iputils-ping\nRUN useradd -m -s /bin/bash ann && mkdir -p /home/ann/.ssh && ssh-keygen -q -N '' -f /root/key "
                    "&& cp /root/key.pub /home/ann/.ssh/authorized_keys && chown -R ann /home/ann/.ssh\n")
    conductor.ok("build", "services", file, timeout=500)
    script = ("mkdir -p /run/sshd; /usr/sbin/sshd -p 2222; "
              "ssh -tt -o ConnectionAttempts=30 -o StrictHostKeyChecking=no -i /root/key -p 2222 ann@localhost 'id -un; tty; ping -c 1 localhost'")
    out = conductor.ok("run", "--rm", "services", "--", "sh", "-c", script)
    assert "ann" in out.split() and "/dev/pts/0" in out and "1 received" in out
    # apache and others lock there.
    assert conductor.ok("run", "--rm", "services", "--", "stat", "-c", "%a", "/var/lock/.") == "1777\n"
