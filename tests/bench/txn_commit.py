"""Prints how long a commit takes: from EndTxn on its way to the last of 8 partitions being visible to a
read_committed reader, and to the answer, on three brokers with every partition on all of them.
The wire is spoken directly, in the new protocol (KIP-890): each transaction is one small batch per
partition, then EndTxn; one waiting Fetch per partition sees the end."""
import os
import pathlib
import selectors
import socket
import statistics
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Cluster, skip  # noqa: E402
from claims import need, wait_for  # noqa: E402

try:
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    skip('python3-confluent-kafka is not installed')

PARTITIONS = 8
EPOCHS = int(os.environ.get('MILLRACE_EPOCHS', '500'))
ID = 'bench'


def table():
    rows = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82f63b78 if value & 1 else 0)
        rows.append(value)
    return rows


TABLE = table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >> 8)
    return crc ^ 0xffffffff


def text(value):
    return struct.pack('>h', len(value)) + value.encode()


def uvarint(value):
    out = b''
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def compact(value):
    return uvarint(len(value) + 1) + value.encode()


def batch(producer, epoch, value):
    """One record, the first of its producer's epoch in the partition."""
    body = b'\0\0\0\1' + uvarint(2 * len(value)) + value + b'\0'
    record = uvarint(2 * len(body)) + body
    now = int(time.time() * 1000)
    tail = (struct.pack('>hiqqqhi', 0x10, 0, now, now, producer, epoch, 0) +
            struct.pack('>i', 1) + record)
    return struct.pack('>qiibI', 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


class Wire:
    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, key, version, body, is_flexible=False):
        frame = (struct.pack('>hhi', key, version, 1) + text('bench') +
                 (b'\0' if is_flexible else b'') + body)
        self.socket.sendall(struct.pack('>i', len(frame)) + frame)

    def take(self):
        size = struct.unpack('>i', self.read(4))[0]
        return self.read(size)[4:]

    def call(self, *question):
        self.send(*question)
        return self.take()

    def read(self, size):
        data = b''
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            need(part, 'the broker closed')
            data += part
        return data


def leaders(cluster, topic, admin):
    homes = {}

    def claim():
        listed = admin.list_topics(timeout=30)
        parts = listed.topics[topic].partitions if topic in listed.topics else {}
        homes.update({index: ('127.0.0.1', cluster.brokers[part.leader].port)
                      for index, part in parts.items() if len(part.isrs) == 3})
        return len(homes) == PARTITIONS
    wait_for('all in sync', claim)
    return homes


def taken(wire, *question):
    """The first answer whose code, behind the throttle time, is 0."""
    answers = []

    def claim():
        answers[:] = [wire.call(*question)]
        return answers[0][4:6] == b'\0\0' or answers[0]
    wait_for('an answer', claim)
    return answers[0]


def find_coordinator(address):
    rest = taken(Wire(address), 10, 1, text(ID) + struct.pack('>b', 1))[6:]
    message = struct.unpack('>h', rest[:2])[0]
    rest = rest[2 + max(message, 0):]
    length = struct.unpack('>h', rest[4:6])[0]
    port = struct.unpack('>i', rest[6 + length:10 + length])[0]
    return Wire(('127.0.0.1', port))


def begin(coordinator):
    answer = taken(coordinator, 22, 1, text(ID) + struct.pack('>i', 60000))
    return struct.unpack('>qh', answer[6:16])


def produce(writers, homes, producer, epoch, value):
    """All partitions of a leader in one request; all leaders at once."""
    for address, wire in writers.items():
        rows = [index for index, home in homes.items() if home == address]
        data = b''
        for index in rows:
            records = batch(producer, epoch, value)
            data += struct.pack('>i', index) + uvarint(len(records) + 1) + records + b'\0'
        body = (compact(ID) + struct.pack('>hi', -1, 30000) + uvarint(2) + compact('t') +
                uvarint(len(rows) + 1) + data + b'\0\0')
        wire.send(0, 12, body, True)
    for address, wire in writers.items():
        answer = wire.take()[1:]
        count = sum(home == address for home in homes.values())
        need(answer[:3] == uvarint(2) + compact('t'), f'{answer[:3]}')
        need(struct.unpack('>ih', answer[4:10])[1] == 0, f'partition of {count}: {answer[4:10]}')


def ask_fetch(wire, index, offset):
    body = (struct.pack('>iiiibiii', -1, 5000, 1, 1 << 20, 1, 0, -1, 1) + text('t') +
            struct.pack('>iiiqqi', 1, index, -1, offset, -1, 1 << 20) + struct.pack('>i', 0) +
            text(''))
    wire.send(1, 11, body)


def next_offset(answer, index):
    """Where the reader stands behind what it got."""
    rest = answer[4 + 2 + 4 + 4:]
    rest = rest[2 + 1 + 4:]
    found, code, _, stable, _, aborted = struct.unpack('>ihqqqi', rest[:34])
    need(found == index and code == 0, f'{found}, {code}')
    rest = rest[34 + 16 * max(aborted, 0) + 4:]
    size = struct.unpack('>i', rest[:4])[0]
    return stable, size


def visible(readers, offsets):
    """Until every partition has shown its record and the marker behind it is passed."""
    waiting = selectors.DefaultSelector()
    for index, wire in readers.items():
        waiting.register(wire.socket, selectors.EVENT_READ, index)
    left = set(readers)
    while left:
        for key, _ in waiting.select(10):
            index = key.data
            stable, size = next_offset(readers[index].take(), index)
            need(size > 0, 'an empty answer')
            offsets[index] = stable
            left.discard(index)
            waiting.unregister(key.fileobj)
    waiting.close()


def end(coordinator, producer, epoch):
    coordinator.send(26, 5, compact(ID) + struct.pack('>qhb', producer, epoch, 1) + b'\0', True)


def take_end(coordinator):
    answer = coordinator.take()[1:]
    code, producer, epoch = struct.unpack('>hqh', answer[4:16])
    need(code == 0, f'not committed: {code}')
    return producer, epoch


def figures(name, samples):
    ordered = sorted(samples)
    return (f'{name}: p50 {statistics.median(ordered) * 1e3:.2f} ms, '
            f'p90 {ordered[len(ordered) * 9 // 10] * 1e3:.2f}, '
            f'p99 {ordered[len(ordered) * 99 // 100] * 1e3:.2f}')


def main():
    with Cluster(3) as cluster:
        admin = AdminClient({'bootstrap.servers': cluster.bootstrap})
        admin.create_topics([NewTopic('t', PARTITIONS, 3)])['t'].result(60)
        homes = leaders(cluster, 't', admin)
        coordinator = find_coordinator(homes[0])
        producer, epoch = begin(coordinator)
        writers = {address: Wire(address) for address in set(homes.values())}
        readers = {index: Wire(home) for index, home in homes.items()}
        offsets = {index: 0 for index in homes}
        answered, seen, cycles = [], [], []
        for turn in range(EPOCHS + 50):
            begun = time.perf_counter()
            for index, wire in readers.items():
                ask_fetch(wire, index, offsets[index])
            produce(writers, homes, producer, epoch, b'x' * 100)
            sent = time.perf_counter()
            end(coordinator, producer, epoch)
            producer, epoch = take_end(coordinator)
            answer = time.perf_counter()
            visible(readers, offsets)
            done = time.perf_counter()
            if turn >= 50:
                answered.append(answer - sent)
                seen.append(done - sent)
                cycles.append(done - begun)
        print(figures('EndTxn to its answer', answered))
        print(figures('EndTxn to visible', seen))
        print(figures('first byte to visible', cycles))
        print(f'limit 3 ms: {statistics.median(seen) / 0.003:.2f} of it; the hardware\'s floor is 0.9')


if __name__ == '__main__':
    sys.exit(main())
