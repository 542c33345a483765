"""A verb that stops before each of its calls and asks what to do: go, skip, abort; or is killed there."""
import json
import os
import socket
import subprocess

from . import host


class Gated:
    """A verb with a gate: decide(call) is asked before each call and says go, skip or abort."""

    def __init__(self, conductor, *arguments):
        ours, theirs = socket.socketpair()
        self.conductor = conductor
        self.process = subprocess.Popen(conductor.command("--gate", str(theirs.fileno()), *arguments),
                                        pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=conductor.environment)
        theirs.close()
        self.socket, self.stream = ours, ours.makefile("rw")
        self.calls = []

    def drive(self, decide):
        """Answers until the verb ends; (exit status, stdout, stderr)."""
        self.socket.settimeout(60)
        for line in self.stream:
            event = json.loads(line)
            if event["event"] != "call_began":
                continue
            self.calls.append(event)
            self.stream.write(json.dumps({"decision": decide(event)}) + "\n")
            self.stream.flush()
        return self.end()

    def kill_before(self, number, everybody=False):
        """SIGKILL before the call of that number (from 0), to the verb alone or to all processes of this root at one
        moment. True if it came to that call; False if the verb had ended before, whose status then is `status`."""
        self.socket.settimeout(60)
        for line in self.stream:
            event = json.loads(line)
            if event["event"] != "call_began":
                continue
            self.calls.append(event)
            if len(self.calls) > number:
                self.kill(everybody)
                self.end()
                return True
            self.stream.write('{"decision": "go"}\n')
            self.stream.flush()
        self.status, _, self.error = self.end()
        return False

    def kill(self, everybody):
        self.process.kill()
        if not everybody:
            return
        for line in host.processes_using(self.conductor.root, self.conductor.run_directory):
            try:
                os.kill(int(line.split()[0]), 9)
            except ProcessLookupError:
                pass

    def end(self):
        # Closed first: whoever still asks gets the end of the input, which means abort.
        self.stream.close()
        self.socket.close()
        out, error = self.process.communicate(timeout=60)
        return self.process.returncode, out, error
