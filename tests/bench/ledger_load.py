"""Prints how long a ledger takes to be there again behind 10^6 offset commits: with its snapshot and
a tail, and from the log alone. The commits go through the ledger's own writer: OffsetCommit requests
of 100 partitions each, to one broker with one partition of __consumer_offsets."""
import pathlib
import socket
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

COMMITS = 1000000
LOAD_SECONDS = 600
PARTITIONS = 100


def text(value):
    return struct.pack('>h', len(value)) + value.encode()


class Wire:
    def __init__(self, broker):
        self.socket = socket.create_connection(('127.0.0.1', broker.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, key, version, body):
        frame = struct.pack('>hhi', key, version, 1) + text('bench') + body
        self.socket.sendall(struct.pack('>i', len(frame)) + frame)
        size = struct.unpack('>i', self.read(4))[0]
        return self.read(size)[4:]

    def read(self, size):
        data = b''
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            need(part, 'the broker closed')
            data += part
        return data


def find(wire):
    wait_for('a coordinator', lambda: wire.call(10, 0, text('g'))[:2] == b'\0\0')


def commit(wire, offset):
    rows = b''.join(struct.pack('>iq', index, offset) + text('') for index in range(PARTITIONS))
    body = (text('g') + struct.pack('>i', -1) + text('') + struct.pack('>q', -1) +
            struct.pack('>i', 1) + text('t') + struct.pack('>i', PARTITIONS) + rows)
    answer = wire.call(8, 2, body)
    codes = answer[4 + 3 + 4:]
    failed = {codes[6 * k + 4:6 * k + 6] for k in range(PARTITIONS)} - {b'\0\0'}
    need(not failed, f'not committed: {failed}')


def committed(wire):
    """Of partition 0; None while the ledger loads."""
    answer = wire.call(9, 2, text('g') + struct.pack('>i', 1) + text('t') + struct.pack('>ii', 1, 0))
    if struct.unpack('>h', answer[-2:])[0] in (14, 15, 16):
        return None
    return struct.unpack('>q', answer[15:23])[0]


def load_seconds(broker, offset):
    """From the line `ready` on; the log's own recovery is over by then."""
    ready_at = time.monotonic()
    wire = Wire(broker)
    wait_for('the ledger', lambda: committed(wire) is not None, LOAD_SECONDS)
    need(committed(wire) == offset, f'not committed: {offset}')
    return time.monotonic() - ready_at


def main():
    settings = {'internal_topic_partitions': 1, 'journal_bytes': 256 << 20}
    with Broker(**settings) as broker:
        admin = AdminClient({'bootstrap.servers': broker.bootstrap})
        admin.create_topics([NewTopic('t', PARTITIONS, 1)])['t'].result(60)
        wire = Wire(broker)
        find(wire)
        wait_for('the ledger', lambda: committed(wire) is not None)
        begun = time.monotonic()
        for offset in range(COMMITS // PARTITIONS):
            commit(wire, offset)
        wrote = time.monotonic() - begun
        last = COMMITS // PARTITIONS - 1
        snapshot = broker.directory / 'data' / '__consumer_offsets-0' / 'ledger.snapshot'
        need(snapshot.exists(), 'no snapshot was written')
        broker.kill()
        begun = time.monotonic()
        broker.start()
        restart = time.monotonic() - begun
        with_snapshot = load_seconds(broker, last)
        broker.kill()
        snapshot.unlink()
        broker.start()
        from_log = load_seconds(broker, last)
        print(f'{COMMITS} commits written in {wrote:.1f} s; restart to ready {restart:.2f} s; '
              f'coordinator there {with_snapshot:.3f} s behind it with its snapshot '
              f'({snapshot.name}), {from_log:.3f} s from the log alone')
        print(f'limit 2 s: {with_snapshot / 2:.2f} of it')


if __name__ == '__main__':
    sys.exit(main())
