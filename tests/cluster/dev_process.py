"""`millrace dev` as a test sees it: a child with two streams, whose lines are waited for."""
import json
import os
import pathlib
import queue
import subprocess
import threading
import time

from claims import need

BUILD = pathlib.Path(os.environ.get('MILLRACE_BUILD', 'build'))
MILLRACE = BUILD / 'millrace'
LINE_SECONDS = 90


def run(*words, seconds=120, stdin=None, code=0):
    """One call of the program; its JSON answer, or its lines of JSON."""
    done = subprocess.run([MILLRACE, *map(str, words), '-o', 'json'], capture_output=True,
                          input=stdin, timeout=seconds, text=True)
    need(done.returncode == code, f'millrace {words} ended with {done.returncode}, not {code}:\n'
                                  f'{done.stdout}{done.stderr}')
    return [json.loads(line) for line in done.stdout.splitlines()]


def fail(*words, code=1):
    """A call that must fail; the code of its error."""
    return run(*words, code=code)[0]['error']['code']


class Dev:
    """A running `millrace dev`; use as a context manager, so that nothing stays behind."""

    def __init__(self, directory, *words):
        self.directory = pathlib.Path(directory)
        self.process = subprocess.Popen(
            [MILLRACE, 'dev', '--dir', directory, *map(str, words)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.seen = []
        self.readers = [threading.Thread(target=self.read, args=(stream,), daemon=True)
                        for stream in (self.process.stdout, self.process.stderr)]
        for reader in self.readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def read(self, stream):
        for line in stream:
            self.lines.put(line.rstrip('\n'))

    def wait_line(self, beginning):
        """The next line, of either stream, that begins so."""
        deadline = time.monotonic() + LINE_SECONDS
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f'no line {beginning!r}; there were {self.seen}') from None
            self.seen.append(line)
            if line.startswith(beginning):
                return line

    def wait_ready(self):
        """The bootstrap list."""
        return self.wait_line('ready bootstrap=').removeprefix('ready bootstrap=')

    def wait_end(self):
        """The exit status; all lines are in `seen` then."""
        status = self.process.wait(timeout=LINE_SECONDS)
        for reader in self.readers:
            reader.join(timeout=LINE_SECONDS)
        while not self.lines.empty():
            self.seen.append(self.lines.get())
        return status

    def terminate(self):
        self.process.terminate()
        return self.wait_end()

    def pid(self, node):
        return int((self.directory / node / 'pid').read_text())

    def node(self, verb, node):
        """`dev start|stop|kill NODE` on this cluster."""
        return run('dev', verb, node, '--dir', self.directory)[0]
