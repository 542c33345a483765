"""State directories that are full, read-only, on a file system that cannot serve, or of a newer conductor."""
import subprocess

import pytest


@pytest.fixture
def mounted(conductor):
    """Mounts something where the state directory will be; the tests live in a mount namespace of their own."""
    place = conductor.directory / "disk"
    place.mkdir()

    def mount(*arguments):
        subprocess.run(["mount", *arguments, str(place)], check=True)
        conductor.root = place / "root"
        return place

    yield mount
    conductor.remove_containers()
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_state_directory_is_said_and_nothing_is_left(conductor, mounted):
    place = mounted("-t", "tmpfs", "-o", "size=8m", "tmpfs")
    conductor.busybox_image("box")
    with open(place / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(bytes(1 << 12))
    said = conductor.fails("run", "box", "web", "--", "true", status=125)
    assert "No space left on device" in said and "hint: free some space" in said
    (place / "filler").unlink()
    assert conductor.json("ps", "-a") == [] and list((conductor.root / "tmp").iterdir()) == []
    assert conductor.ok("run", "--rm", "box", "--", "echo", "fits") == "fits\n"


def test_a_read_only_state_directory_can_be_looked_at_and_not_changed(conductor, mounted):
    place = mounted("-t", "tmpfs", "tmpfs")
    conductor.busybox_image("box")
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    assert [image["name"] for image in conductor.json("images")] == ["box:latest"]
    for words, status in ((["run", "box", "--", "true"], 125), (["create", "box"], 1)):
        said = conductor.fails(*words, status=status)
        assert "Read-only file system" in said and "hint: " in said
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)


def test_a_file_system_that_refuses_overlays_is_named_with_the_cure(conductor, mounted):
    layers = conductor.directory / "layers"
    layers.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(layers)], check=True)
    try:
        for name in ("lower", "upper", "work"):
            (layers / name).mkdir()
        mounted("-t", "overlay", "overlay", "-o", f"lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work")
        conductor.busybox_image("box")
        said = conductor.fails("run", "box", "web", "--userns", "host", "--", "true", status=125)
        assert "lies on an overlay itself" in said and "--root" in said
        assert conductor.json("ps", "-a") == []
    finally:
        subprocess.run(["umount", "-l", str(layers)], check=True)


def test_state_of_a_newer_conductor_is_left_alone(conductor):
    conductor.busybox_image("box")
    (conductor.root / "format").write_text("3\n")
    assert "has format 3" in conductor.fails("ps") and "newer conductor" in conductor.fails("run", "box", status=125)
    (conductor.root / "format").write_text("2\n")


def test_a_state_directory_in_use_has_one_runtime_directory(conductor):
    box = conductor.busybox_image()
    conductor.ok("run", "-d", box, "web", "--", "sleep", "1000")
    other = conductor.directory / "other"
    words = [str(conductor.program), "--root", str(conductor.root), "--run", str(other)]
    done = subprocess.run([*words, "exec", "web", "--", "true"], capture_output=True, text=True)
    assert done.returncode != 0
    assert f"--run {conductor.run_directory}" in done.stderr
    conductor.ok("stop", "web")
    subprocess.run([*words, "ps"], check=True, capture_output=True)
