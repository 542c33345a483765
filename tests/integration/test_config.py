"""The configuration file: where values come from, and what is wrong with one."""
import json


def write(conductor, text):
    file = conductor.directory / "config.json"
    file.write_text(text)
    return file


def test_every_value_says_where_it_came_from(conductor):
    file = write(conductor, '{\n  // shorter\n  "stop_seconds": 3\n}\n')
    said = conductor.ok("--config", file, "config")
    row = next(line for line in said.splitlines() if line.startswith("stop_seconds"))
    assert "3" in row and f"{file}:3" in row
    assert "default" in next(line for line in said.splitlines() if line.startswith("default_base"))


def test_an_unknown_key_is_an_error_with_file_and_line(conductor):
    file = write(conductor, '{\n  "stop_secnds": 3\n}\n')
    said = conductor.fails("--config", file, "images")
    assert f"{file}:2: unknown key 'stop_secnds'" in said
    assert "did you mean 'stop_seconds'?" in said


def test_a_named_file_must_be_there(conductor):
    assert "No such file" in conductor.fails("--config", conductor.directory / "none.json", "images")


def test_errors_are_json_when_asked(conductor):
    file = write(conductor, '{"log_files": "three"}')
    error = json.loads(conductor.fails("--config", file, "images", "--json"))["error"]
    assert "log_files" in error["message"]
