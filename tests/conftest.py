"""Fixtures of the integration and console tests, and the rule that a skip is loud."""
import os

import pytest
from support.program import Conductor
from support.tmux import Tmux


@pytest.fixture
def conductor():
    """The program with a private root and run directory; afterwards nothing of them may be left on the host."""
    program = Conductor()
    yield program
    program.close()


@pytest.fixture
def box(conductor):
    """The same with a busybox image, whose name is box.image. A file that needs more has a box of its own."""
    conductor.image = conductor.busybox_image()
    return conductor


@pytest.fixture
def tmux():
    """Starts commands inside tmux: tmux(command, rows, columns, environment) gives a Tmux."""
    servers = []

    def start(*arguments, **options):
        servers.append(Tmux(*arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """With CI=true a skipped test has failed: there, everything that a test needs is installed."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """A run with skips ends with 77, which ctest names in its summary."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and reporter and reporter.stats.get("skipped"):
        session.exitstatus = 77
