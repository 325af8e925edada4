"""Goal: what a client gets wrong has one exact answer, and the broker serves the next as before.

Every row plays one wrong request to one real broker on a connection of its own and says what must
come back: an error code, several, or the closed connection. A canary on yet another connection
follows each: one record produced and fetched again. Rows called `sound` are the controls: what is
damaged in their neighbours is taken when it is whole.

Left out, because nothing here serves it: SASL before authentication, ACLs and authorizations (29, 31,
53 by ACL), SCRAM users, regex subscriptions, reassignment, fetch sessions that exist (71), an
Envelope, a Vote or UpdateMetadata from a client (they are unknown keys, and closed as such).
Left out, because their time or size is no test's: 30 s for half a frame, 10 min of silence, 10,000
requests without a reader (test_dispatch and test_connection play these on a virtual clock).
Left out, because one broker alone, with the settings of the others, cannot show it: 6, 19, 20, 74,
77, 104, a coordinator that moved or loads (16, 14), a full group (81), two EndTxn at once (51).
Left out, because it needs a version with tagged fields in its body: topic ids (100, 103, 106), half a
claim in InitProducerId.
One row is answered otherwise than the catalogue says: a batch larger than a segment (18 there) is taken
here and gets a segment of its own.
"""
import gzip
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker  # noqa: E402
from claims import need, wait_for  # noqa: E402
from raw_calls import Calls  # noqa: E402
from raw_wire import (CLOSED, batch, flexible_frame, frame, i8, i16, i32, i64,  # noqa: E402
                      many, record, text, unsigned, varint)

PLAIN, FULL, COMPACT = 'plain', 'full', 'compact'
WAIT_CODES = (14, 15, 16, 51)
INT32_TOP = 2**31 - 1
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
DAY_MS = 86_400_000


def settled(play, codes=WAIT_CODES):
    """The first code that does not ask to come again."""
    told = []

    def claim():
        told[:] = [play()]
        return told[0] not in codes or told[0]
    wait_for('an answer', claim)
    return told[0]


# ---- frames and headers ----

def api_versions(name, tags=b'\0', version=3):
    """The answer's code, or CLOSED."""
    def play(calls):
        body = unsigned(len(name) + 1) + name + unsigned(2) + b'1' + tags
        raw = calls.raw(flexible_frame(18, version, body))
        return raw if raw == CLOSED else struct.unpack('>h', raw[4:6])[0]
    return play


def sends(*pieces):
    """CLOSED, or `answered`."""
    def play(calls):
        raw = calls.raw(*pieces)
        return raw if raw == CLOSED else 'answered'
    return play


METADATA = frame(3, 4, many([text('plain')]) + i8(0))


def frame_rows():
    def header(key, version):
        return i32(10) + i16(key) + i16(version) + i32(1) + text(None)
    yield 'size below 0', sends(i32(-1) + bytes(8)), CLOSED
    yield 'size of 2 GiB', sends(i32(INT32_TOP) + bytes(8)), CLOSED
    yield 'size above 100 MiB', sends(i32((100 << 20) + 1) + bytes(8)), CLOSED
    yield 'hello of TLS', sends(bytes.fromhex('16030102000100')), CLOSED
    yield 'HTTP', sends(b'GET / HTTP/1.1\r\n\r\n'), CLOSED
    yield 'SSH', sends(b'SSH-2.0-OpenSSH_9.2\r\n'), CLOSED
    for size in range(8):
        yield f'size {size}', sends(i32(size) + bytes(size)), CLOSED
    yield 'header only', sends(header(0, 8)), CLOSED
    yield 'unknown key', sends(header(999, 0)), CLOSED
    yield 'key below 0', sends(header(-1, 0)), CLOSED
    yield 'UpdateMetadata, an API of the past', sends(header(6, 0)), CLOSED
    yield 'version too high', sends(header(3, 99)), CLOSED
    yield 'version too low', sends(frame(2, 0, i32(-1) + many([]))), CLOSED
    yield 'version below 0', sends(header(3, -1)), CLOSED
    yield 'null client id', sends(frame(3, 4, many([]) + i8(0), client=None)), 'answered'
    odd = b'\0\n\x1b[31m\xff'
    yield 'client id of odd bytes', sends(frame(3, 4, many([]) + i8(0), client=odd)), 'answered'
    for count in (-2, 500):
        inside = i16(3) + i16(4) + i32(1) + i16(count) + many([]) + i8(0)
        yield f'client id of {count} bytes', sends(i32(len(inside)) + inside), CLOSED
    for count in (-2, 5, 1 << 28, INT32_TOP):
        yield f'{count} topics in no bytes', sends(frame(3, 4, i32(count) + i8(0))), CLOSED
    yield 'text beyond the body', sends(frame(3, 4, i32(1) + i16(500) + b'plain' + i8(0))), CLOSED
    yield 'text of length -2', sends(frame(3, 4, i32(1) + i16(-2) + i8(0))), CLOSED
    yield 'null text where none may be', sends(frame(12, 3, text(None) + bytes(8))), CLOSED
    yield 'bytes behind the body', sends(frame(3, 4, many([]) + i8(0) + b'!')), CLOSED
    yield 'byte by byte', sends(*[bytes([byte]) for byte in METADATA]), 'answered'


def tag_rows():
    yield 'sound ApiVersions', api_versions(b'raw'), 0
    yield 'ApiVersions of the future', api_versions(b'raw', version=99), 35
    for name in (b'', b'-raw', b'raw client', b'raw\n', b'raw-'):
        yield f'software name {name}', api_versions(name), 42
    yield 'unknown tag', api_versions(b'raw', b'\1\x7f\2xy'), 0
    yield 'a tag twice', api_versions(b'raw', b'\2\x7f\0\x7f\0'), CLOSED
    yield 'tags in descending order', api_versions(b'raw', b'\2\x7f\0\x7e\0'), CLOSED
    yield 'tag beyond the body', api_versions(b'raw', b'\1\x7f\x20xy'), CLOSED
    yield '2^31 tags', api_versions(b'raw', unsigned(2**31)), CLOSED
    yield 'varint of six bytes', api_versions(b'raw', b'\x80\x80\x80\x80\x80\0'), CLOSED
    yield 'varint above 32 bits', api_versions(b'raw', b'\xff\xff\xff\xff\x7f'), CLOSED
    yield 'compact null where none may be', sends(flexible_frame(18, 3, b'\0\0\0')), CLOSED
    yield 'header tag twice', sends(flexible_frame(18, 3, b'\2a\2a\0', b'\2\5\0\5\0')), CLOSED


# ---- record batches ----

def put(topic, make, **options):
    """`make` is called when the row is played, so that building is no part of listing."""
    return lambda calls: calls.produce(topic, make(), **options)


def snappy(raw, said=None):
    """One literal; `said`: how long it says that it is."""
    count = len(raw) - 1
    head = bytes([count << 2]) if count < 60 else bytes([60 << 2, count])
    return unsigned(len(raw) if said is None else said) + head + raw


def xerial(raw, said=None):
    block = snappy(raw)
    return b'\x82SNAPPY\0' + i32(1) + i32(1) + i32(len(block) if said is None else said) + block


def xxh32(raw):
    """Of fewer than 16 bytes, a multiple of none."""
    value = (374761393 + len(raw)) & 0xffffffff
    for byte in raw:
        value = (value + byte * 374761393) & 0xffffffff
        value = (value << 11 | value >> 21) * 2654435761 & 0xffffffff
    value = (value ^ value >> 15) * 2246822519 & 0xffffffff
    value = (value ^ value >> 13) * 3266489917 & 0xffffffff
    return value ^ value >> 16


def lz4(raw, flip=0, said=None):
    about = bytes([0x60, 0x40])
    size = (len(raw) if said is None else said) | 1 << 31
    return (b'\x04\x22\x4d\x18' + about + bytes([(xxh32(about) >> 8 & 255) ^ flip]) +
            struct.pack('<I', size) + raw + bytes(4))


def zstd(raw, said=None, last=1):
    size = len(raw) if said is None else said
    block = struct.pack('<I', last | len(raw) << 3)[:3]
    return b'\x28\xb5\x2f\xfd\xa0' + struct.pack('<I', size) + block + raw


def zstd_bomb(byte_count):
    """One record that says it has so many bytes, and blocks of one repeated byte that give them."""
    begin = varint(byte_count) + b'\0\0\0\1' + varint(byte_count - 100)
    blocks = struct.pack('<I', len(begin) << 3)[:3] + begin
    while byte_count > 0:
        byte_count -= 1 << 17
        blocks += struct.pack('<I', (byte_count <= 0) | 1 << 1 | 1 << 17 + 3)[:3] + b'\0'
    return b'\x28\xb5\x2f\xfd\0\x58' + blocks


PACKED = record(0)


def packed(codec, raw, **lies):
    return lambda: batch([], attributes=codec, raw=raw, **({'count': 1} | lies))


def compressed_rows():
    sound = {GZIP: gzip.compress(PACKED), SNAPPY: snappy(PACKED), LZ4: lz4(PACKED),
             ZSTD: zstd(PACKED)}
    for codec, raw in sound.items():
        yield f'sound codec {codec}', put(FULL, packed(codec, raw)), 0
        yield f'codec {codec} cut', put(FULL, packed(codec, raw[:-9])), 2
        yield f'codec {codec} of other bytes', put(FULL, packed(codec, b'\xff' * 40)), 2
        # No bytes are no damage to zstd: a stream of no frames, which lacks its record.
        yield (f'codec {codec} of nothing', put(FULL, packed(codec, b'')),
               87 if codec == ZSTD else 2)
        yield f'codec {codec} with two counted', put(FULL, packed(codec, raw, count=2)), 87
        yield f'codec {codec} cut, compacted', put(COMPACT, packed(codec, raw[:-9])), 2
    yield 'sound xerial', put(FULL, packed(SNAPPY, xerial(PACKED))), 0
    yield 'snappy that says 1 GiB', put(FULL, packed(SNAPPY, snappy(PACKED, 1 << 30))), (2, 10)
    yield 'snappy that says one more', put(FULL, packed(SNAPPY, snappy(PACKED, 10))), 2
    yield 'xerial block beyond its end', put(FULL, packed(SNAPPY, xerial(PACKED, 1 << 30))), 2
    yield 'xerial block below 0', put(FULL, packed(SNAPPY, xerial(PACKED, -1))), 2
    yield 'lz4 header checksum', put(FULL, packed(LZ4, lz4(PACKED, flip=1))), 2
    yield 'lz4 block beyond its end', put(FULL, packed(LZ4, lz4(PACKED, said=1 << 20))), 2
    yield 'zstd that says 3 GiB', put(FULL, packed(ZSTD, zstd(PACKED, 3 << 30))), (2, 10)
    yield 'zstd without a last block', put(FULL, packed(ZSTD, zstd(PACKED, last=0))), 2
    damaged = bytearray(gzip.compress(PACKED))
    damaged[-8] ^= 1
    yield 'gzip checksum', put(FULL, packed(GZIP, bytes(damaged))), 2
    yield 'gzip of gzip', put(FULL, packed(GZIP, gzip.compress(gzip.compress(PACKED)))), 87
    yield 'zstd bomb', put(FULL, packed(ZSTD, zstd_bomb(300 << 20))), (10, 87)
    yield 'zstd bomb, compacted', put(COMPACT, packed(ZSTD, zstd_bomb(300 << 20))), (10, 87)
    yield 'zstd before version 7', put(PLAIN, packed(ZSTD, zstd(PACKED)), version=6), 76
    for codec in (5, 6, 7):
        yield f'codec {codec}', put(PLAIN, packed(codec, PACKED)), 76


def header_rows():
    lies = [('one too many', {'count': 2}, 87), ('count 0', {'count': 0, 'last_delta': 0}, 87),
            ('count below 0', {'count': -1, 'last_delta': 0}, 87),
            ('count 2^31-1', {'count': INT32_TOP, 'last_delta': INT32_TOP - 1}, 87),
            ('last delta off', {'last_delta': 3}, 87), ('last delta below 0', {'last_delta': -1}, 87),
            ('magic 0', {'magic': 0}, 87), ('magic 1', {'magic': 1}, 87), ('magic 3', {'magic': 3}, 87),
            ('base offset 5', {'base_offset': 5}, 87), ('base offset -1', {'base_offset': -1}, 87),
            ('length 48', {'length': 48}, 2), ('length 0', {'length': 0}, 2),
            ('length below 0', {'length': -1}, 2), ('length one more', {'length': 59}, 2),
            ('length one less', {'length': 57}, 2),
            ('length 2^31-1', {'length': INT32_TOP}, 2), ('checksum', {'crc_flip': 1}, 2),
            ('control', {'attributes': 0x20}, 87), ('delete horizon', {'attributes': 0x40}, 87),
            ('pid without sequence', {'pid': 9, 'epoch': 0}, 87),
            ('pid without epoch', {'pid': 9, 'sequence': 0}, 87), ('pid -2', {'pid': -2}, 87),
            ('transactional without an id', {'attributes': 0x10, 'pid': 9, 'epoch': 0,
                                             'sequence': 0}, 53),
            ('time below 0', {'time': -5}, 32), ('time of the year 5138', {'time': 10**14}, 32)]
    yield 'sound batch', put(PLAIN, batch), 0
    for name, lie, code in lies:
        yield f'batch: {name}', put(PLAIN, lambda lie=lie: batch(**lie)), code
    yield 'null records', put(PLAIN, lambda: None), 87
    yield 'empty records', put(PLAIN, lambda: b''), 87
    yield 'two batches', put(PLAIN, lambda: batch() * 2), 87
    yield 'bytes behind the batch', put(PLAIN, lambda: batch() + bytes(8)), 87
    yield 'eleven bytes', put(PLAIN, lambda: batch()[:11]), 2
    yield 'half a batch', put(PLAIN, lambda: batch()[:-4]), 2
    large = [record(0, value=bytes(2000))]
    yield 'batch above max.message.bytes', put('small', lambda: batch(large)), 10
    yield 'old time', put('strict', batch), 32
    longer = [record(0, value=bytes(1 << 20))]
    yield 'batch above segment.bytes', put('wide', lambda: batch(longer)), 0


def record_rows():
    def of(*records):
        return put(PLAIN, lambda: batch(list(records)))
    yield 'sound headers', of(record(0, headers=varint(1) + varint(1) + b'h' + varint(-1))), 0
    yield 'record length one more', of(varint(10) + record(0)[1:]), 87
    yield 'record length one less', of(varint(7) + record(0)[1:]), 87
    yield 'record length below 0', of(varint(-2) + record(0)[1:]), 87
    yield 'record length 2^31-1', of(varint(INT32_TOP) + record(0)[1:]), 87
    yield 'record length of six bytes', of(b'\x80\x80\x80\x80\x80\1' + record(0)[1:]), 87
    yield 'bytes behind the records', of(record(0) + b'!'), 87
    yield 'offset deltas 0, 0', of(record(0), record(0)), 87
    yield 'offset deltas 1, 0', of(record(1), record(0)), 87
    yield 'offset delta below 0', of(record(-1)), 87
    yield 'header count below 0', of(record(0, headers=varint(-1))), 87
    yield 'header count 2^31-1', of(record(0, headers=varint(INT32_TOP))), 87
    yield 'header without a key', of(record(0, headers=varint(1) + varint(-1) + varint(-1))), 87
    yield 'header key beyond', of(record(0, headers=varint(1) + varint(99) + b'h')), 87
    yield 'header value beyond', of(record(0, headers=varint(1) + varint(1) + b'h' + varint(9))), 87
    yield 'key beyond the record', of(varint(6) + b'\0\0\0' + varint(99) + b'kk'), 87
    yield 'key of length -2', of(varint(6) + b'\0\0\0' + varint(-2) + b'\0\0'), 87

    def indices(topic, *records):
        def play(calls):
            code, _, wrong = calls.produce_all(topic, batch(list(records)))[0]
            return code, wrong
        return play
    yield 'sound key, compacted', indices(COMPACT, record(0)), (0, [])
    yield 'null key, compacted', indices(COMPACT, record(0), record(1, key=None)), (87, [1])
    yield 'null key, in gzip', put(COMPACT, packed(GZIP, gzip.compress(record(0, key=None)))), 87
    yield 'time of one record', indices(PLAIN, record(0), record(1, time=-2 * 10**12)), (32, [1])


# ---- sequences ----

def sequences(*steps, pid=None):
    """Each step (epoch, sequence, count): its code, and for a success its place behind the first."""
    def play(calls):
        producer = calls.begin(None)[0] if pid is None else pid
        topic, told = calls.fresh('sequences'), []
        need(calls.create(topic) == 0, 'no topic')
        for epoch, sequence, count in steps:
            records = [record(index) for index in range(count)]
            raw = batch(records, pid=producer, epoch=epoch, sequence=sequence)
            code, base, _ = calls.produce_all(topic, raw)[0]
            told.append(base if code == 0 else f'error {code}')
        return told
    return play


def sequence_rows():
    six = [(0, index, 1) for index in range(6)]
    yield 'sound sequences', sequences((0, 0, 2), (0, 2, 1)), [0, 2]
    yield 'sequence gap', sequences((0, 0, 1), (0, 2, 1), (0, 1, 1)), [0, 'error 45', 1]
    yield 'repeat of the last', sequences((0, 0, 3), (0, 0, 3), (0, 3, 1)), [0, 0, 3]
    yield 'repeat of one of five', sequences(*six, (0, 1, 1)), [0, 1, 2, 3, 4, 5, 1]
    yield 'repeat of an older one', sequences(*six, (0, 0, 1)), [0, 1, 2, 3, 4, 5, 'error 45']
    yield 'repeat of half a batch', sequences((0, 0, 4), (0, 0, 2)), [0, 'error 45']
    yield 'lower epoch', sequences((1, 0, 1), (0, 1, 1)), [0, 'error 47']
    yield 'higher epoch from 3', sequences((0, 0, 1), (1, 3, 1)), [0, 'error 45']
    yield 'higher epoch from 0', sequences((0, 0, 1), (1, 0, 1)), [0, 1]
    yield 'unknown producer from 7', sequences((0, 7, 1), (0, 8, 1)), [0, 1]
    yield 'wrap to 0', sequences((0, INT32_TOP, 1), (0, 0, 1)), [0, 1]
    yield 'wrap inside a batch', sequences((0, INT32_TOP - 1, 3), (0, 1, 1)), [0, 3]
    yield 'wrap to 1', sequences((0, INT32_TOP, 1), (0, 1, 1)), [0, 'error 45']


# ---- produce, fetch, offsets ----

def produce_rows():
    yield 'acks 2', lambda calls: calls.produce(PLAIN, batch(), acks=2), 21
    yield 'acks -2', lambda calls: calls.produce(PLAIN, batch(), acks=-2), 21
    yield 'acks 0 and damage', lambda calls: calls.produce(PLAIN, batch(crc_flip=1), acks=0), CLOSED
    yield 'no such topic', lambda calls: calls.produce('nowhere', batch()), 3
    yield 'no such partition', lambda calls: calls.produce(PLAIN, batch(), partitions=(7,)), 3
    yield 'partition below 0', lambda calls: calls.produce(PLAIN, batch(), partitions=(-1,)), 3
    yield ('a partition twice', lambda calls: calls.produce(PLAIN, batch(), partitions=(0, 0)),
           [42, 42])
    for topic in ('__consumer_offsets', '__transaction_state'):
        yield f'produce to {topic}', lambda calls, topic=topic: calls.produce(topic, batch()), 17


def served(found):
    """The codes, or that there is at least one whole batch."""
    if found == CLOSED or found[0] or found[1]:
        return found if found == CLOSED else found[0] or found[1]
    size = struct.unpack('>i', found[2][8:12])[0] + 12 if len(found[2]) >= 12 else 1 << 30
    return 'a batch' if len(found[2]) >= size else 'no batch'


def fetch_rows():
    def row(topic, offset, **options):
        return lambda calls: served(calls.fetch_all(topic, offset, **options))
    yield 'sound fetch', row('held', 0), 'a batch'
    yield 'inside a batch', row('held', 2), 'a batch'
    yield 'behind the end', row('held', 4), 1
    yield 'below 0', row('held', -1), 1
    yield 'before the start', row('begun', 0), 1
    yield 'fetch of 2^63-1', row('held', 2**63 - 1), 1
    yield 'fetch of nowhere', row('nowhere', 0), 3
    yield 'fetch of partition 7', row('held', 0, partition=7), 3
    yield 'leader epoch of the future', row('held', 0, epoch=99), 75
    yield 'isolation 7', row('held', 0, isolation=7), 42
    yield 'isolation -1', row('held', 0, isolation=-1), 42
    for name in ('max_bytes', 'partition_bytes'):
        for value in (0, -1, -2**31):
            yield f'{name} {value}', row('held', 0, **{name: value}), 'a batch'
    yield 'min_bytes 2^31-1', row('held', 0, min_bytes=INT32_TOP), 'a batch'
    yield 'max_wait -1', row('held', 0, wait=-1, min_bytes=INT32_TOP), 'a batch'
    yield 'max_wait 2^31-1', row('held', 0, wait=INT32_TOP), 'a batch'
    yield 'unknown session', row('held', 0, session=77, session_epoch=3), 70


def offset_rows():
    def row(*about, **options):
        return lambda calls: calls.list_offsets(*about, **options)
    yield 'sound ListOffsets', row('held', -1), 0
    yield 'offsets of nowhere', row('nowhere', -1), 3
    yield 'offsets of partition 7', row('held', -1, partitions=(7,)), 3
    yield 'offsets of partition -1', row('held', -1, partitions=(-1,)), 3
    yield 'offsets of a partition twice', row('held', -1, partitions=(0, 0)), [0, 42]
    yield 'offsets of the future epoch', row('held', -1, epoch=99), 75
    yield 'offsets at time -7', row('held', -7), 35
    yield 'epoch end of nowhere', lambda calls: calls.epoch_end('nowhere', 0, -1, 0), 3
    yield 'epoch end of partition 7', lambda calls: calls.epoch_end('held', 7, -1, 0), 3
    yield 'epoch end of the future', lambda calls: calls.epoch_end('held', 0, 99, 0), 75


# ---- topics and settings ----

def topic_rows():
    def row(*names, **options):
        return lambda calls: calls.create(*names, **options)
    yield 'sound check only', row('new', check_only=True), 0
    for name in ('', '.', '..', 'a' * 250, 'a b', 'a/b', 'a\n', b'a\0b', b'\xff\xfe', 'é', '\x1b[1m'):
        yield f'topic {name!r:.20}', row(name), 17
    yield 'null topic', row(None), CLOSED
    for count in (0, -3, 10**9, INT32_TOP):
        yield f'{count} partitions', row('new', count=count), (37, 44)
    for factor in (0, -3, 2, 32767):
        yield f'replication {factor}', row('new', factor=factor), 38
    yield 'assignment and counts', row('new', placed=[(0, [1])]), 42
    yield 'assignment to nobody', row('new', count=-1, factor=-1, placed=[(0, [999])]), 39
    yield 'assignment with a gap', row('new', count=-1, factor=-1, placed=[(1, [1])]), 39
    # None of the two is done: what follows finds the topic missing, then as it was.
    yield 'a topic twice', row('new', 'new'), [42, 42]
    yield 'a topic twice and another', row('new', 'other', 'new', check_only=True), [42, 0, 42]
    yield 'not made by that', lambda calls: calls.delete('new'), 3
    yield 'a topic that is there', row(PLAIN), 36
    yield 'names that metrics mix up', row('dot_ted'), 17
    yield 'unknown setting', row('new', configs=[('no.such', '1')]), 40
    yield 'setting of words', row('new', configs=[('retention.ms', 'long')]), 40
    yield 'setting out of range', row('new', configs=[('segment.bytes', '1')]), 40
    yield 'null setting', row('new', configs=[('retention.ms', None)]), 40
    yield 'shrink', lambda calls: calls.grow('held', 1), 37
    yield 'grow to 0', lambda calls: calls.grow('held', 0), 37
    yield 'grow to -1', lambda calls: calls.grow('held', -1), 37
    yield 'grow to 10^9', lambda calls: calls.grow('held', 10**9), (37, 44)
    yield 'grow one twice', lambda calls: calls.grow('held', 2, times=2), [42, 42]
    yield 'not grown by that', lambda calls: calls.grow('held', 1), 37
    yield 'no second partition', lambda calls: calls.list_offsets('held', -1, partitions=(1,)), 3
    yield 'grow of nowhere', lambda calls: calls.grow('nowhere', 5), 3
    yield 'grow by two, place one', lambda calls: calls.grow('held', 3, [[1]]), 39
    yield 'grow to nobody', lambda calls: calls.grow('held', 2, [[999]]), 39
    yield 'delete nowhere', lambda calls: calls.delete('nowhere'), 3
    yield 'delete one twice', lambda calls: calls.delete('held', 'held'), [42, 42]
    yield 'delete an internal one', lambda calls: calls.delete('__consumer_offsets'), 17
    yield 'records beyond the end', lambda calls: calls.delete_records('held', 4), 1
    yield 'records below -1', lambda calls: calls.delete_records('held', -2), 1
    yield 'records of nowhere', lambda calls: calls.delete_records('nowhere', 0), 3
    yield 'records of partition 7', lambda calls: calls.delete_records('held', 0, 7), 3
    yield 'records of a compacted one', lambda calls: calls.delete_records(COMPACT, 0), 44
    yield 'records of an internal one', lambda calls: calls.delete_records('__consumer_offsets', 0), 17


def setting_rows():
    def whole(kind, name, *pairs, **options):
        return lambda calls: calls.alter_configs(kind, name, *pairs, **options)

    def some(kind, name, *triples):
        return lambda calls: calls.alter_some(kind, name, *triples)
    for kind in (0, 1, 3, 77, -1):
        yield f'describe kind {kind}', lambda calls, kind=kind: calls.describe_configs(kind, 'x'), 42
        yield f'alter kind {kind}', whole(kind, 'x', ('retention.ms', '1')), 42
    yield 'describe nowhere', lambda calls: calls.describe_configs(2, 'nowhere'), 3
    yield 'describe broker 99', lambda calls: calls.describe_configs(4, '99'), 42
    yield 'describe broker x', lambda calls: calls.describe_configs(4, 'x'), 42
    yield 'alter nowhere', whole(2, 'nowhere', ('retention.ms', '1')), 3
    yield 'alter to words', whole(2, 'held', ('retention.ms', 'long')), 40
    yield 'alter the unknown', whole(2, 'held', ('no.such', '1')), 40
    yield 'alter one twice', whole(2, 'held', ('retention.ms', '1'), times=2), [42, 42]
    yield 'set to words', some(2, 'held', ('retention.ms', 0, 'long')), 40
    yield 'set the unknown', some(2, 'held', ('no.such', 0, '1')), 40
    yield 'operation 9', some(2, 'held', ('retention.ms', 9, '1')), 42
    yield 'append to what is no list', some(2, 'held', ('retention.ms', 2, '1')), 40
    yield 'a key twice', some(2, 'held', ('retention.ms', 0, '1'), ('retention.ms', 1, None)), 42
    yield 'set to null', some(2, 'held', ('retention.ms', 0, None)), (40, 42)


# ---- groups ----

def group_rows():
    def join(group, **options):
        return lambda calls: calls.join(group, **options)
    yield 'join without a group', join(''), 24
    yield 'session of 5999 ms', join('g', session=5999), 26
    yield 'session of 30 min and 1', join('g', session=1_800_001), 26
    yield 'session below 0', join('g', session=-1), 26
    yield 'join of a stranger', join('g', member='stranger'), 25
    yield 'join without a member id', join('g'), 79
    yield 'join without protocols', join('g', protocols=()), 23
    yield 'join without a type', join('g', kind=''), 23
    yield '100,000 protocols', join('g', protocols=[('', b'')] * 100_000), 10
    yield '4 MiB of metadata', join('g', protocols=[('range', bytes(4 << 20))]), 10
    yield 'heartbeat without a group', lambda calls: calls.heartbeat('', 1, 'm'), 24
    yield 'heartbeat of a stranger', lambda calls: calls.heartbeat('nobody', 1, 'm'), 25
    yield 'sync of a stranger', lambda calls: calls.sync('nobody', 1, 'm'), 25
    yield 'sync without a group', lambda calls: calls.sync('', 1, 'm'), 24
    yield 'leave of a stranger', lambda calls: calls.leave('nobody', 'm'), 25
    yield 'coordinator of kind 7', lambda calls: calls.find_coordinator('g', 7), 42
    yield 'delete an unknown group', lambda calls: calls.delete_group('nobody'), 69
    yield 'delete a group without a name', lambda calls: calls.delete_group(''), (24, 69)


def member_rows():
    """Against a group with one living member."""
    def with_member(play, instance=None):
        def run(calls):
            group = calls.fresh('group')
            generation, who = calls.member_of(group, instance)
            told = play(calls, group, generation, who)
            need(calls.heartbeat(group, generation, who) in (0, 82), 'the member is out')
            return told
        return run
    yield 'generation of the past', with_member(
        lambda calls, group, generation, who: calls.heartbeat(group, generation - 1, who)), 22
    yield 'generation of the future', with_member(
        lambda calls, group, generation, who: calls.heartbeat(group, generation + 1, who)), 22
    yield 'sync of another generation', with_member(
        lambda calls, group, generation, who: calls.sync(group, generation + 1, who)), 22
    yield 'assignment to strangers', with_member(
        lambda calls, group, generation, who: calls.sync(group, generation, who, [('x', b'\xff')])), 0
    yield 'join with another type', with_member(
        lambda calls, group, generation, who: calls.join(group, kind='connect')), 23
    yield 'join with another protocol', with_member(
        lambda calls, group, generation, who: calls.join(group, protocols=[('other', b'')])), 23
    yield 'commit of the past', with_member(
        lambda calls, group, generation, who: calls.commit(group, PLAIN, 1, generation - 1, who)), 22
    yield 'commit of a stranger', with_member(
        lambda calls, group, generation, who: calls.commit(group, PLAIN, 1, generation, 'x')), 25
    yield 'commit of nobody', with_member(
        lambda calls, group, generation, who: calls.commit(group, PLAIN, 1)), 25
    yield 'delete a group that lives', with_member(
        lambda calls, group, generation, who: calls.delete_group(group)), 68

    def fenced(calls, group, generation, who):
        return calls.heartbeat(group, generation, 'another', 'seat')
    yield 'instance of another member', with_member(fenced, instance='seat'), 82


def commit_rows():
    def commit(*about, **options):
        return lambda calls: calls.commit('tools', *about, **options)
    yield 'sound commit', commit(PLAIN, 1), 0
    yield 'metadata of 4096 bytes', commit(PLAIN, 1, about='x' * 4096), 0
    yield 'metadata of 4097 bytes', commit(PLAIN, 1, about='x' * 4097), 12
    yield 'commit of -5', commit(PLAIN, -5), 42
    yield 'commit to nowhere', commit('nowhere', 1), 3
    yield 'commit to partition 7', commit(PLAIN, 1, partition=7), 3
    yield 'commit of generation 3 of no group', (
        lambda calls: calls.commit('nobody', PLAIN, 1, 3, 'm')), 22
    yield 'forget in an unknown group', lambda calls: calls.forget('nobody', PLAIN), 69
    yield 'forget of nowhere', lambda calls: calls.forget('tools', 'nowhere'), 3
    yield 'forget of partition 7', lambda calls: calls.forget('tools', PLAIN, 7), 3


# ---- transactions ----

def txn_rows():
    for timeout in (0, -1, 900_001, INT32_TOP):
        yield f'timeout {timeout}', lambda calls, value=timeout: calls.producer('t', value), 50
    yield 'empty transactional id', lambda calls: calls.producer(''), 42
    yield 'end of a stranger', lambda calls: calls.end('nobody', 5, 0), 49
    yield 'add of a stranger', lambda calls: calls.add('nobody', 5, 0, PLAIN), 49
    yield 'offsets of a stranger', lambda calls: calls.add_offsets('nobody', 5, 0, 'g'), 49

    def with_producer(play):
        def run(calls):
            txn = calls.fresh('txn')
            return play(calls, txn, *calls.begin(txn))
        return run

    def write(calls, txn, pid, epoch):
        raw = batch(attributes=0x10, pid=pid, epoch=epoch, sequence=0)
        return calls.produce(PLAIN, raw, txn=txn)

    def end_twice_otherwise(calls, txn, pid, epoch):
        codes = [calls.add(txn, pid, epoch, PLAIN), calls.end(txn, pid, epoch)]
        return codes + [settled(lambda: calls.end(txn, pid, epoch, committed=False), (51,))]
    yield 'end of nothing', with_producer(lambda calls, *who: calls.end(*who)), 48
    yield 'abort of nothing', with_producer(lambda calls, *who: calls.end(*who, False)), 48
    yield 'commit, then abort', with_producer(end_twice_otherwise), [0, 0, 48]
    yield 'write of what is not added', with_producer(write), (48, 120)
    yield 'add by another pid', with_producer(
        lambda calls, txn, pid, epoch: calls.add(txn, pid + 1000, epoch, PLAIN)), 49
    yield 'add by another epoch', with_producer(
        lambda calls, txn, pid, epoch: calls.add(txn, pid, epoch + 1, PLAIN)), 90
    yield 'add by another epoch, version 1', with_producer(
        lambda calls, txn, pid, epoch: calls.add(txn, pid, epoch + 1, PLAIN, version=1)), 47
    yield 'end by another pid', with_producer(
        lambda calls, txn, pid, epoch: calls.end(txn, pid + 1000, epoch)), 49
    yield 'end by another epoch', with_producer(
        lambda calls, txn, pid, epoch: calls.end(txn, pid, epoch + 1)), 90
    yield 'add of nowhere', with_producer(
        lambda calls, txn, pid, epoch: calls.add(txn, pid, epoch, 'nowhere')), 3
    yield 'add of one that is not there', with_producer(
        lambda calls, txn, pid, epoch: calls.add(txn, pid, epoch, PLAIN, (0, 7))), [55, 3]
    yield 'offsets by another pid', with_producer(
        lambda calls, txn, pid, epoch: calls.add_offsets(txn, pid + 1000, epoch, 'g')), 49
    yield 'offsets to nowhere', with_producer(
        lambda calls, txn, pid, epoch: calls.txn_commit(txn, 'g', pid, epoch, 'nowhere')), 3


# ---- the test ----

SECTIONS = (frame_rows, tag_rows, compressed_rows, header_rows, record_rows, sequence_rows,
            produce_rows, fetch_rows, offset_rows, topic_rows, setting_rows, group_rows, member_rows,
            commit_rows, txn_rows)


def is_as_told(told, expected):
    """A tuple of codes leaves the choice between them, as the catalogue does."""
    if told == expected:
        return True
    is_choice = isinstance(expected, tuple) and not isinstance(told, tuple)
    return is_choice and told in expected


def canary(calls, number):
    """One record goes in and comes back, on fresh connections."""
    raw = batch([record(0, value=f'canary {number}'.encode())])
    code, base, _ = calls.produce_all('canary', raw)[0]
    need(code == 0, f'the canary is refused with {code}')
    found = calls.fetch_all('canary', base)
    need(found[:2] == (0, 0) and f'canary {number}'.encode() in found[2], f'no canary in {found}')


def prepare(calls):
    for name, configs in ((PLAIN, ()), ('canary', ()), ('held', ()), ('begun', ()), ('dot.ted', ()),
                          (FULL, [('record.validation', 'full')]),
                          (COMPACT, [('cleanup.policy', 'compact')]),
                          ('small', [('max.message.bytes', '1000')]),
                          ('wide', [('segment.bytes', str(1 << 20)),
                                    ('max.message.bytes', str(4 << 20))]),
                          ('strict', [('message.timestamp.before.max.ms', str(DAY_MS))])):
        # The batches are of 2023, and shall stay until a row takes them away.
        kept = [('retention.ms', '-1'), *configs]
        need(calls.create(name, configs=kept) == 0, f'topic {name} was not made')
    for topic in ('held', 'begun'):
        need(calls.produce(topic, batch([record(index) for index in range(3)])) == 0, topic)
    need(calls.delete_records('begun', 3) == 0, 'the start did not move')
    need(settled(lambda: calls.find_coordinator('g', 0)) == 0, 'no group coordinator')
    need(settled(lambda: calls.find_coordinator('t', 1)) == 0, 'no transaction coordinator')
    need(settled(lambda: calls.commit('tools', PLAIN, 1)) == 0, 'no commit')
    need(settled(lambda: calls.producer('first')) == 0, 'no transactional producer')


def main():
    wrong, count = [], 0
    with Broker(auto_create_topics_enable='false') as broker:
        calls = Calls(broker)
        prepare(calls)
        for section in SECTIONS:
            for name, play, expected in section():
                try:
                    told = play(calls)
                except AssertionError as error:
                    told = str(error)
                if not is_as_told(told, expected):
                    wrong.append(f'{section.__name__}: {name}: {told}, not {expected}')
                canary(calls, count)
                count += 1
        broker.stop()
    need(not wrong, '\n' + '\n'.join(wrong))
    print(f'bad_requests: {count} rows, a canary behind each')


if __name__ == '__main__':
    sys.exit(main())
