"""Goal: members of our library and of librdkafka are one group, whoever of them leads.
Method: one broker; strangers and ours come and go in both orders; between them every partition has
one owner and every record is read once, and both read on from what the other has committed."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker, need  # noqa: E402

from group_member import (PARTITIONS, SECONDS, Member, check_committed, make_topic,  # noqa: E402
                          produce, wait_for)

PROGRAM = pathlib.Path(os.environ.get('MILLRACE_BUILD', 'build')) / 'tests/round_trip'
os.environ['MILLRACE_FIRST_TIMESTAMP'] = '1'
COUNT = 600


class Ours:
    """A member of our library in a process of its own; it leaves when nothing comes for 5 s."""

    def __init__(self, broker, topic, group):
        self.numbers = tempfile.TemporaryFile('w+')
        self.events = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen([PROGRAM, 'group', broker.bootstrap, topic, group],
                                        stdout=self.numbers, stderr=self.events)

    @property
    def is_assigned(self):
        self.events.seek(0)
        return self.events.read().split()[-1:] == ['assigned']

    @property
    def values(self):
        self.numbers.seek(0)
        return [int(line) for line in self.numbers]

    def end(self):
        need(self.process.wait(SECONDS) == 0, f'ours failed with {self.process.returncode}')


def both(broker, name, is_ours_first, strategy):
    """The first one leads; it has to deal out to a member of the other kind."""
    topic, group = f'mixed-{name}', f'group-{name}'
    make_topic(broker, topic)
    settings = {'partition_assignment_strategy': strategy}
    ours = Ours(broker, topic, group) if is_ours_first else None
    stranger = None
    if ours is not None:
        wait_for('ours is in', lambda: ours.is_assigned)
    stranger = Member(broker, topic, group, **settings)
    if ours is None:
        wait_for('the stranger owns all', lambda: len(stranger.owned) == PARTITIONS)
        ours = Ours(broker, topic, group)
    wait_for('they share', lambda: len(stranger.owned) == PARTITIONS // 2 and ours.is_assigned)
    produce(broker, topic, COUNT)
    wait_for('all is read', lambda: len(stranger.values) + len(ours.values) >= COUNT)
    need(sorted(stranger.values + ours.values) == list(range(COUNT)), 'not once each')
    need(len(stranger.values) == COUNT // 2, f'the stranger read {len(stranger.values)}')
    ours.end()
    wait_for('the stranger owns all again', lambda: len(stranger.owned) == PARTITIONS)
    stranger.stop()
    check_committed(broker, topic, group, COUNT // PARTITIONS)


def main():
    with Broker() as broker:
        both(broker, 'ours-leads', True, 'range')
        both(broker, 'stranger-leads', False, 'range')
        both(broker, 'roundrobin', True, 'roundrobin')
        both(broker, 'either', False, 'roundrobin,range')


if __name__ == '__main__':
    main()
