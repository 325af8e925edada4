"""Kafka's wire by hand: frames, record batches and the requests that a test wants to get wrong."""
import socket
import struct

TIMEOUT_SECONDS = 30
CLOSED = 'closed'


# ---- values ----

def i8(value):
    return struct.pack('>b', value)


def i16(value):
    return struct.pack('>h', value)


def i32(value):
    return struct.pack('>i', value)


def i64(value):
    return struct.pack('>q', value)


def text(value):
    """A string, or null."""
    raw = value.encode() if isinstance(value, str) else value
    return i16(-1) if raw is None else i16(len(raw)) + raw


def blob(value):
    """Bytes, or null."""
    return i32(-1) if value is None else i32(len(value)) + value


def many(items):
    return i32(len(items)) + b''.join(items)


def unsigned(value):
    """A varint without a sign."""
    out = b''
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def varint(value):
    return unsigned(value * 2 if value >= 0 else -value * 2 - 1)


# ---- answers ----

class Reader:
    """Takes an answer apart; at its end nothing may be left."""

    def __init__(self, raw):
        self.raw = raw
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.raw):
            raise AssertionError(f'the answer ends at {len(self.raw)} of {self.raw.hex()}')
        self.at += count
        return self.raw[self.at - count:self.at]

    def i8(self):
        return struct.unpack('>b', self.take(1))[0]

    def i16(self):
        return struct.unpack('>h', self.take(2))[0]

    def i32(self):
        return struct.unpack('>i', self.take(4))[0]

    def i64(self):
        return struct.unpack('>q', self.take(8))[0]

    def text(self):
        count = self.i16()
        return None if count < 0 else self.take(count).decode(errors='replace')

    def blob(self):
        count = self.i32()
        return None if count < 0 else self.take(count)

    def many(self, item):
        return [item() for _ in range(max(0, self.i32()))]

    def end(self):
        if self.at != len(self.raw):
            raise AssertionError(f'{len(self.raw) - self.at} bytes follow the answer')


# ---- connections ----

class Wire:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), TIMEOUT_SECONDS)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.socket.close()

    def send(self, raw):
        try:
            self.socket.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass # Whoever refuses a frame by its size reads no further.

    def receive(self):
        """The next frame, or CLOSED."""
        head = self.receive_bytes(4)
        return CLOSED if head is None else self.receive_bytes(struct.unpack('>i', head)[0]) or CLOSED

    def receive_bytes(self, count):
        raw = b''
        while len(raw) < count:
            try:
                piece = self.socket.recv(count - len(raw))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            raw += piece
        return raw

    def ask(self, key, version, body):
        """The body of the answer in a Reader, or CLOSED."""
        self.correlation += 1
        self.send(frame(key, version, body, correlation=self.correlation))
        raw = self.receive()
        if raw == CLOSED:
            return CLOSED
        reader = Reader(raw)
        if reader.i32() != self.correlation:
            raise AssertionError('the answer of another request')
        return reader


def frame(key, version, body, client=b'raw', correlation=1):
    """A request with header version 1."""
    inside = i16(key) + i16(version) + i32(correlation) + text(client) + body
    return i32(len(inside)) + inside


def flexible_frame(key, version, body, tags=b'\0', correlation=1):
    """A request with header version 2."""
    inside = i16(key) + i16(version) + i32(correlation) + text(b'raw') + tags + body
    return i32(len(inside)) + inside


# ---- record batches ----

def checksum_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = checksum_table()


def checksum(raw):
    """CRC-32C."""
    value = 0xffffffff
    for byte in raw:
        value = value >> 8 ^ TABLE[(value ^ byte) & 255]
    return value ^ 0xffffffff


def record(index, key=b'k', value=b'v', time=0, headers=b'\0'):
    def part(raw):
        return varint(-1) if raw is None else varint(len(raw)) + raw
    inside = b'\0' + varint(time) + varint(index) + part(key) + part(value) + headers
    return varint(len(inside)) + inside


def batch(records=None, **lies):
    """A sound batch of magic 2, but for what `lies` says of its header."""
    records = [record(0)] if records is None else records
    raw = lies.get('raw', b''.join(records))
    count = lies.get('count', len(records))
    now = lies.get('time', 1_700_000_000_000)
    sealed = (i16(lies.get('attributes', 0)) + i32(lies.get('last_delta', count - 1)) + i64(now) +
              i64(lies.get('max_time', now)) + i64(lies.get('pid', -1)) +
              i16(lies.get('epoch', -1)) + i32(lies.get('sequence', -1)) + i32(count) + raw)
    crc = (checksum(sealed) ^ lies.get('crc_flip', 0)) & 0xffffffff
    head = i32(lies.get('leader_epoch', -1)) + i8(lies.get('magic', 2)) + struct.pack('>I', crc)
    length = lies.get('length', len(head) + len(sealed))
    return i64(lies.get('base_offset', 0)) + i32(length) + head + sealed
