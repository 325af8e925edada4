"""Kafka's calls by hand, each in a version without tagged fields; the answers' codes are told."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import need  # noqa: E402
from raw_wire import CLOSED, Wire, blob, i8, i16, i32, i64, many, text  # noqa: E402


def codes_of(reader):
    """[name, [partition, code]] as most answers have it."""
    found = reader.many(lambda: (reader.text(), reader.many(lambda: (reader.i32(), reader.i16()))))
    return [code for _, rows in found for _, code in rows]


def one(codes):
    return codes[0] if len(codes) == 1 else codes


class Calls:
    """One broker, and one way to ask each API; every call on a connection of its own."""

    def __init__(self, broker):
        self.port = broker.port
        self.serial = 0

    def fresh(self, stem):
        self.serial += 1
        return f'{stem}-{self.serial}'

    def raw(self, *pieces):
        """What comes back for bytes: CLOSED, or the frame."""
        with Wire(self.port) as wire:
            for piece in pieces:
                wire.send(piece)
            return wire.receive()

    def call(self, key, version, body, read):
        with Wire(self.port) as wire:
            reader = wire.ask(key, version, body)
        if reader == CLOSED:
            return CLOSED
        found = read(reader)
        reader.end()
        return found

    def produce_all(self, topic, records, acks=-1, version=8, txn=None, partitions=(0,)):
        """(code, base offset, indices of record errors) of every partition."""
        rows = [i32(index) + blob(records) for index in partitions]
        body = text(txn) + i16(acks) + i32(5000) + many([text(topic) + many(rows)])

        def row(reader):
            reader.i32()
            code, base = reader.i16(), reader.i64()
            reader.i64()
            if version >= 5:
                reader.i64()
            wrong = []
            if version >= 8:
                wrong = [index for index, _ in reader.many(lambda: (reader.i32(), reader.text()))]
                reader.text()
            return code, base, wrong

        def read(reader):
            found = reader.many(lambda: (reader.text(), reader.many(lambda: row(reader))))
            reader.i32()
            return found[0][1]
        return self.call(0, version, body, read)

    def produce(self, topic, records, **options):
        found = self.produce_all(topic, records, **options)
        return CLOSED if found == CLOSED else one([code for code, _, _ in found])

    def fetch_all(self, topic, offset, partition=0, epoch=-1, **options):
        """(code of all, code of the partition, records)."""
        body = (i32(-1) + i32(options.get('wait', 100)) + i32(options.get('min_bytes', 1)) +
                i32(options.get('max_bytes', 1 << 20)) + i8(options.get('isolation', 0)) +
                i32(options.get('session', 0)) + i32(options.get('session_epoch', -1)) +
                many([text(topic) + many([i32(partition) + i32(epoch) + i64(offset) + i64(-1) +
                                          i32(options.get('partition_bytes', 1 << 20))])]) +
                many([]) + text(''))

        def row(reader):
            reader.i32()
            code = reader.i16()
            reader.i64(), reader.i64(), reader.i64()
            reader.many(lambda: (reader.i64(), reader.i64()))
            reader.i32()
            return code, reader.blob()

        def read(reader):
            reader.i32()
            code = reader.i16()
            reader.i32()
            found = reader.many(lambda: (reader.text(), reader.many(lambda: row(reader))))
            return (code, *found[0][1][0]) if found else (code, None, b'')
        return self.call(1, 11, body, read)

    def fetch(self, topic, offset, **options):
        found = self.fetch_all(topic, offset, **options)
        return found if found == CLOSED else found[0] or found[1]

    def list_offsets(self, topic, at, partitions=(0,), epoch=-1, isolation=0):
        rows = [i32(index) + i32(epoch) + i64(at) for index in partitions]

        def row(reader):
            found = reader.i32(), reader.i16(), reader.i64(), reader.i64(), reader.i32()
            return found[1]

        def read(reader):
            reader.i32()
            return one(reader.many(lambda: (reader.text(), reader.many(lambda: row(reader))))[0][1])
        return self.call(2, 5, i32(-1) + i8(isolation) + many([text(topic) + many(rows)]), read)

    def epoch_end(self, topic, partition, current, wanted):
        def row(reader):
            found = reader.i16(), reader.i32(), reader.i32(), reader.i64()
            return found[0]

        def read(reader):
            reader.i32()
            return one(reader.many(lambda: (reader.text(), reader.many(lambda: row(reader))))[0][1])
        body = i32(-1) + many([text(topic) + many([i32(partition) + i32(current) + i32(wanted)])])
        return self.call(23, 3, body, read)

    def results(self, key, version, body, has_message=True, has_throttle=True):
        """[name, code, message] as the topic calls answer."""
        def row(reader):
            reader.text()
            code = reader.i16()
            if has_message:
                reader.text()
            return code

        def read(reader):
            if has_throttle:
                reader.i32()
            return one(reader.many(lambda: row(reader)))
        return self.call(key, version, body, read)

    def create(self, *names, count=1, factor=1, placed=(), configs=(), check_only=False):
        placed = many([i32(index) + many([i32(node) for node in nodes]) for index, nodes in placed])
        configs = many([text(key) + text(value) for key, value in configs])
        rows = [text(name) + i32(count) + i16(factor) + placed + configs for name in names]
        return self.results(19, 4, many(rows) + i32(5000) + i8(check_only))

    def grow(self, topic, count, placed=None, times=1):
        placed = i32(-1) if placed is None else many(
            [many([i32(node) for node in nodes]) for nodes in placed])
        rows = many([text(topic) + i32(count) + placed] * times)
        return self.results(37, 1, rows + i32(5000) + i8(0))

    def delete(self, *topics):
        return self.results(20, 3, many([text(topic) for topic in topics]) + i32(5000), False)

    def delete_records(self, topic, offset, partition=0):
        def row(reader):
            found = reader.i32(), reader.i64(), reader.i16()
            return found[2]

        def read(reader):
            reader.i32()
            return one(reader.many(lambda: (reader.text(), reader.many(lambda: row(reader))))[0][1])
        body = many([text(topic) + many([i32(partition) + i64(offset)])]) + i32(5000)
        return self.call(21, 1, body, read)

    def describe_configs(self, kind, name):
        """The code only: what is described is no part of these rows."""
        with Wire(self.port) as wire:
            reader = wire.ask(32, 1, many([i8(kind) + text(name) + i32(-1)]) + i8(0))
        reader.i32(), reader.i32()
        return reader.i16()

    def altered(self, key, version, body):
        def read(reader):
            reader.i32()
            return one([code for code, *_ in reader.many(
                lambda: (reader.i16(), reader.text(), reader.i8(), reader.text()))])
        return self.call(key, version, body, read)

    def alter_configs(self, kind, name, *pairs, times=1):
        row = i8(kind) + text(name) + many([text(key) + text(value) for key, value in pairs])
        return self.altered(33, 1, many([row] * times) + i8(0))

    def alter_some(self, kind, name, *triples):
        rows = many([text(key) + i8(operation) + text(value) for key, operation, value in triples])
        return self.altered(44, 0, many([i8(kind) + text(name) + rows]) + i8(0))

    # ---- groups ----

    def find_coordinator(self, key, kind):
        def read(reader):
            reader.i32()
            code = reader.i16()
            reader.text(), reader.i32(), reader.text(), reader.i32()
            return code
        return self.call(10, 1, text(key) + i8(kind), read)

    def join_all(self, group, member='', session=10000, instance=None, kind='consumer',
                 protocols=(('range', b'x'),)):
        """(code, generation, member id)."""
        body = (text(group) + i32(session) + i32(3000) + text(member) + text(instance) + text(kind) +
                many([text(name) + blob(about) for name, about in protocols]))

        def read(reader):
            reader.i32()
            code, generation = reader.i16(), reader.i32()
            reader.text(), reader.text()
            who = reader.text()
            reader.many(lambda: (reader.text(), reader.text(), reader.blob()))
            return code, generation, who
        return self.call(11, 5, body, read)

    def join(self, group, **options):
        found = self.join_all(group, **options)
        return found if found == CLOSED else found[0]

    def sync(self, group, generation, member, given=(), instance=None):
        def read(reader):
            reader.i32()
            code = reader.i16()
            reader.blob()
            return code
        rows = many([text(name) + blob(what) for name, what in given])
        return self.call(14, 3, text(group) + i32(generation) + text(member) + text(instance) + rows,
                         read)

    def code_behind_throttle(self, key, version, body):
        def read(reader):
            reader.i32()
            return reader.i16()
        return self.call(key, version, body, read)

    def heartbeat(self, group, generation, member, instance=None):
        return self.code_behind_throttle(
            12, 3, text(group) + i32(generation) + text(member) + text(instance))

    def leave(self, group, member):
        return self.code_behind_throttle(13, 1, text(group) + text(member))

    def member_of(self, group, instance=None):
        """(generation, member id) of one who has joined and is given something."""
        code, generation, who = self.join_all(group, instance=instance)
        if code == 79:
            code, generation, who = self.join_all(group, member=who)
        need(code == 0, f'the join of {group} has code {code}')
        need(self.sync(group, generation, who, [(who, b'all')], instance) == 0, 'the sync failed')
        return generation, who

    def commit(self, group, topic, offset, generation=-1, member='', about='', partition=0):
        def read(reader):
            reader.i32()
            return one(codes_of(reader))
        row = i32(partition) + i64(offset) + i32(-1) + text(about)
        return self.call(8, 7, text(group) + i32(generation) + text(member) + text(None) +
                         many([text(topic) + many([row])]), read)

    def forget(self, group, topic, partition=0):
        """OffsetDelete: the code of all, or of the partition."""
        def read(reader):
            code = reader.i16()
            reader.i32()
            codes = codes_of(reader)
            return code or one(codes)
        return self.call(47, 0, text(group) + many([text(topic) + many([i32(partition)])]), read)

    def delete_group(self, group):
        return self.results(42, 1, many([text(group)]), False)

    # ---- transactions ----

    def producer_all(self, txn=None, timeout=60000):
        def read(reader):
            reader.i32()
            return reader.i16(), reader.i64(), reader.i16()
        return self.call(22, 1, text(txn) + i32(timeout), read)

    def producer(self, txn=None, timeout=60000):
        return self.producer_all(txn, timeout)[0]

    def begin(self, txn):
        """Producer id and epoch, once the coordinator has them."""
        code, pid, epoch = self.producer_all(txn)
        need(code == 0, f'InitProducerId has code {code}')
        return pid, epoch

    def add(self, txn, pid, epoch, topic, partitions=(0,), version=2):
        def read(reader):
            reader.i32()
            return one(codes_of(reader))
        rows = many([i32(index) for index in partitions])
        body = text(txn) + i64(pid) + i16(epoch) + many([text(topic) + rows])
        return self.call(24, version, body, read)

    def add_offsets(self, txn, pid, epoch, group):
        return self.code_behind_throttle(25, 2, text(txn) + i64(pid) + i16(epoch) + text(group))

    def end(self, txn, pid, epoch, committed=True, version=2):
        return self.code_behind_throttle(
            26, version, text(txn) + i64(pid) + i16(epoch) + i8(committed))

    def txn_commit(self, txn, group, pid, epoch, topic, offset=1, about='', partition=0):
        def read(reader):
            reader.i32()
            return one(codes_of(reader))
        row = i32(partition) + i64(offset) + i32(-1) + text(about)
        return self.call(28, 2, text(txn) + text(group) + i64(pid) + i16(epoch) +
                         many([text(topic) + many([row])]), read)
