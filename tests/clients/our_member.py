"""A member of a consumer group of our own library, in a process of its own."""
import os
import pathlib
import subprocess
import tempfile

from claims import need, wait_for

PROGRAM = pathlib.Path(os.environ.get('MILLRACE_BUILD', 'build')) / 'tests/round_trip'
SECONDS = 180


def lines_of(file):
    """The whole lines that are there. The file's place is its writer's, and stays."""
    text = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()
    return text[:text.rfind('\n') + 1].splitlines()


class OurMember:
    """It stays until end()."""

    def __init__(self, bootstrap, topic, group):
        self.numbers = tempfile.TemporaryFile()
        self.events = tempfile.TemporaryFile()
        self.process = subprocess.Popen([PROGRAM, 'group', bootstrap, topic, group],
                                        stdin=subprocess.PIPE, stdout=self.numbers, stderr=self.events)

    @property
    def told(self):
        return lines_of(self.events)

    @property
    def values(self):
        return [int(line) for line in lines_of(self.numbers)]

    def wait_told(self, *events):
        """Until these are the last that it has told."""
        def claim():
            told = self.told
            need(self.process.poll() is None, f'a member ended; it told {told}')
            return told[-len(events):] == list(events) or told
        wait_for(f'told {events}', claim, SECONDS)

    def end(self):
        """What it has read, a quiet second included."""
        self.process.stdin.close()
        need(self.process.wait(SECONDS) == 0, f'a member failed: {self.told}')
        return self.values
