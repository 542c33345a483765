"""Base images that are made from packages: debian from where this host's apt gets its own, and ubuntu from a signed
archive on loopback (its packages are debian's: what is tested is our side, not the distribution)."""
import json
import shutil
import subprocess

import pytest
from support.archive import Archive

needs = pytest.mark.skipif(not shutil.which("mmdebstrap") and not shutil.which("debootstrap"),
                           reason="neither mmdebstrap nor debootstrap is installed")
long = dict(timeout=500)


def write(conductor, name, text):
    path = conductor.directory / name
    path.write_text(text)
    return path


@needs
def test_the_example_of_the_readme(conductor):
    write(conductor, "hello.txt", "hello\n")
    file = write(conductor, "Conductorfile", "FROM debian:bookworm\nCOPY hello.txt /hello.txt\n"
                                             "RUN apt-get update && apt-get install -y htop\nCMD [\"htop\", \"--version\"]\n")
    conductor.ok("build", "htop", file, **long)
    assert conductor.ok("run", "--rm", "htop").startswith("htop ")
    shell = "cat /hello.txt; ls /var/cache/apt/archives/*.deb 2>/dev/null; stat -c %s /etc/machine-id; . /etc/os-release; echo $VERSION_CODENAME"
    assert conductor.ok("run", "--rm", "htop", "--", "sh", "-c", shell) == "hello\n0\nbookworm\n"
    base = conductor.root / "layers" / conductor.json("images")[0]["layers"][0] / "diff"
    assert list((base / "dev").iterdir()) == []

    # A second FROM finds the layer: no network, no time.
    conductor.ok("build", "again", write(conductor, "Again", "FROM debian:12\nENV A=1\n"), timeout=20)

    # Made while apt and dpkg still mean the same: a user that is not root cannot write the system's files.
    assert "Permission denied" in conductor.run("run", "--rm", "-u", "nobody", "htop", "--", "sh", "-c", "echo x > /etc/passwd").stderr


@pytest.fixture(scope="module")
def debs(tmp_path_factory):
    """The packages of a minimal system, as debootstrap chooses them."""
    if not shutil.which("debootstrap") or not shutil.which("gpg"):
        pytest.skip("debootstrap and gpg are needed")
    target = tmp_path_factory.mktemp("debs")
    mirror = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm", "Component: main"],
                            capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["debootstrap", "--variant=minbase", "--download-only", "bookworm", target / "t", mirror[0]],
                   check=True, capture_output=True, timeout=500)
    yield sorted((target / "t/var/cache/apt/archives").glob("*.deb"))
    shutil.rmtree(target)


@pytest.fixture
def archive(conductor, debs):
    top = conductor.directory / "archive"
    top.mkdir()
    made = Archive(top, debs, "jammy", "Ubuntu")
    yield made
    made.close()


@needs
def test_ubuntu_from_a_configured_signed_mirror(conductor, archive):
    mirror = {"url": archive.url, "keyring": str(archive.keyring)}
    config = write(conductor, "config.json", json.dumps({"mirrors": {"ubuntu": mirror}}))
    file = write(conductor, "Conductorfile", "FROM ubuntu:22.04\nRUN --network=host apt-get update && apt-get check\n")
    conductor.ok("--config", config, "build", "u", file, **long)
    sources = conductor.ok("run", "--rm", "u", "--", "cat", "/etc/apt/sources.list")
    assert sources == f"deb [signed-by=/usr/share/keyrings/conductor-mirror.gpg] {archive.url} jammy main\n"


@needs
def test_a_mirror_signed_by_somebody_else_is_refused(conductor, archive):
    other = "/usr/share/keyrings/debian-archive-keyring.gpg"
    config = write(conductor, "config.json", json.dumps({"mirrors": {"ubuntu": {"url": archive.url, "keyring": other}}}))
    file = write(conductor, "Conductorfile", "FROM ubuntu:22.04\n")
    said = conductor.fails("--config", config, "build", "u", file, **long)
    assert "could not make ubuntu:jammy" in said and "mirrors.ubuntu" in said
    assert list((conductor.root / "layers").iterdir()) == []
    assert list((conductor.root / "tmp").iterdir()) == []


def test_without_a_mirror_the_hint_names_the_key(conductor):
    if "ubuntu" in subprocess.run(["apt-get", "indextargets"], capture_output=True, text=True).stdout:
        pytest.skip("this host's apt knows an archive of ubuntu")
    said = conductor.fails("build", "u", write(conductor, "Conductorfile", "FROM ubuntu:jammy\n"))
    assert "this host's apt knows no archive of ubuntu" in said and '"mirrors": {"ubuntu"' in said
