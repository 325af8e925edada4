"""Prints how long the transactions' ledger takes to be there again behind 10^6 transactions, with its
snapshot and a tail, and from the log alone. The transactions go through the coordinator itself: a
partition added, a commit, its marker written; by many ids, to one broker with one partition of
__transaction_state."""
import os
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker, skip  # noqa: E402
from claims import need, wait_for  # noqa: E402

try:
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    skip('python3-confluent-kafka is not installed')

from ledger_load import LOAD_SECONDS, Wire, text  # noqa: E402

TRANSACTIONS = int(os.environ.get('MILLRACE_TRANSACTIONS', '1000000'))
IDS = 1000
PIPE = 200  # Questions on their way at once.


class Pipe(Wire):
    """Many questions, then their answers, in order."""

    def calls(self, key, version, bodies):
        answers = []
        for first in range(0, len(bodies), PIPE):
            part = bodies[first:first + PIPE]
            frames = [struct.pack('>hhi', key, version, 1) + text('bench') + body for body in part]
            self.socket.sendall(b''.join(struct.pack('>i', len(f)) + f for f in frames))
            for _ in part:
                size = struct.unpack('>i', self.read(4))[0]
                answers.append(self.read(size)[4:])
        return answers


def find(wire):
    body = text('id-0') + struct.pack('>b', 1)
    wait_for('a coordinator', lambda: wire.call(10, 1, body)[4:6] == b'\0\0')


def begin(wire):
    """Every id with its producer id."""
    bodies = [text(f'id-{k}') + struct.pack('>i', 60000) for k in range(IDS)]
    first = text('first') + struct.pack('>i', 60000)
    wait_for('a first producer', lambda: wire.call(22, 1, first)[4:6] == b'\0\0')
    producers = []
    for answer in wire.calls(22, 1, bodies):
        code, producer, epoch = struct.unpack('>hqh', answer[4:16])
        need(code == 0 and epoch == 0, f'not begun: {code}, {epoch}')
        producers.append(producer)
    return producers


def round_of(wire, producers):
    """One transaction of every id."""
    heads = [text(f'id-{k}') + struct.pack('>qh', producer, 0)
             for k, producer in enumerate(producers)]
    topic = struct.pack('>i', 1) + text('t') + struct.pack('>i', 1)
    added = wire.calls(24, 2, [head + topic + struct.pack('>i', k % 8)
                               for k, head in enumerate(heads)])
    need(all(answer[-2:] == b'\0\0' for answer in added), 'not added')
    ended = wire.calls(26, 2, [head + b'\1' for head in heads])
    need(all(answer[4:6] == b'\0\0' for answer in ended), 'not committed')


def load_seconds(broker, producers):
    """From the line `ready` on; the log's own recovery is over by then."""
    ready_at = time.monotonic()
    wire = Pipe(broker)
    body = text('id-0') + struct.pack('>qh', producers[0], 0) + b'\1'

    def claim():
        code = struct.unpack('>h', wire.call(26, 2, body)[4:6])[0]
        need(code in (0, 14, 15, 16, 51), f'the last commit is not known: {code}')
        return code == 0 or code
    wait_for('the ledger', claim, LOAD_SECONDS)
    return time.monotonic() - ready_at


def main():
    settings = {'internal_topic_partitions': 1, 'journal_bytes': 256 << 20}
    with Broker(**settings) as broker:
        admin = AdminClient({'bootstrap.servers': broker.bootstrap})
        admin.create_topics([NewTopic('t', 8, 1)])['t'].result(60)
        wire = Pipe(broker)
        find(wire)
        producers = begin(wire)
        begun = time.monotonic()
        for _ in range(TRANSACTIONS // IDS):
            round_of(wire, producers)
        wrote = time.monotonic() - begun
        snapshot = broker.directory / 'data' / '__transaction_state-0' / 'ledger.snapshot'
        need(snapshot.exists(), 'no snapshot was written')
        broker.kill()
        begun = time.monotonic()
        broker.start()
        restart = time.monotonic() - begun
        with_snapshot = load_seconds(broker, producers)
        broker.kill()
        snapshot.unlink()
        broker.start()
        from_log = load_seconds(broker, producers)
        print(f'{TRANSACTIONS} transactions written in {wrote:.1f} s '
              f'({TRANSACTIONS / wrote:.0f}/s); restart to ready {restart:.2f} s; coordinator there '
              f'{with_snapshot:.3f} s behind it with its snapshot, {from_log:.3f} s from the log alone')
        print(f'limit 2 s: {(restart + with_snapshot) / 2:.2f} of it')


if __name__ == '__main__':
    sys.exit(main())
