"""Goal: on a full disk writes are refused, nothing acknowledged is lost, reads go on, and writing goes
on by itself when there is room again.
Method: a broker on a small file system of its own; a balloon file takes the room away under load and
gives it back; at the end, and after a crash on the full disk, all that was acknowledged is read."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from broker_process import Broker, need, skip
from numbered import PARTITIONS, Producer, check, create, read_all

import collections

TOPIC = 'numbers'
FILE_SYSTEM_BYTES = 160 << 20
VALUE = b'x' * 20000


class SmallFileSystem:
    """A tmpfs of its own; needs the right to mount."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='millrace-small-'))

    def __enter__(self):
        result = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={FILE_SYSTEM_BYTES}', 'tmpfs',
                                 str(self.directory)], capture_output=True, text=True)
        if result.returncode != 0:
            skip(f'a file system cannot be mounted here: {result.stderr.strip()}')
        return self

    def __exit__(self, *rest):
        subprocess.run(['umount', str(self.directory)], check=False)
        self.directory.rmdir()

    def inflate(self, left_bytes):
        free = shutil.disk_usage(self.directory).free
        with open(self.directory / 'balloon', 'wb') as balloon:
            os.posix_fallocate(balloon.fileno(), 0, max(4096, free - left_bytes))

    def deflate(self):
        (self.directory / 'balloon').unlink()


def write(bootstrap, numbers, acknowledged, seconds):
    """How many of the numbers were acknowledged within the time."""
    answers = []

    def on_delivery(error, message):
        answers.append(error)
        if error is None:
            acknowledged[message.partition()][int(message.key())] = message.offset()

    producer = Producer({'bootstrap.servers': bootstrap, 'message.timeout.ms': seconds * 1000})
    for number in numbers:
        producer.produce(TOPIC, VALUE, key=str(number), partition=number % PARTITIONS,
                         on_delivery=on_delivery)
    need(producer.flush(seconds + 30) == 0, 'records were never answered')
    return sum(error is None for error in answers)


def main():
    acknowledged = collections.defaultdict(dict)
    with SmallFileSystem() as small:
        with Broker(small.directory / 'broker', shards=1, disk_free_bytes_min=8 << 20) as broker:
            create(broker.bootstrap, 1)
            need(write(broker.bootstrap, range(400), acknowledged, 60) == 400, 'room is there')
            small.inflate(4 << 20)
            refused = 400 - write(broker.bootstrap, range(400, 800), acknowledged, 10)
            need(refused > 0, 'a full disk took everything')
            check(acknowledged, read_all(broker.bootstrap, lambda m: int(m.key())))
            broker.kill()
            broker.start()
            check(acknowledged, read_all(broker.bootstrap, lambda m: int(m.key())))
            small.deflate()
            need(write(broker.bootstrap, range(800, 1200), acknowledged, 60) == 400,
                 'writing does not go on when there is room again')
            check(acknowledged, read_all(broker.bootstrap, lambda m: int(m.key())))
            print(f'{refused} refused on the full disk, '
                  f'{sum(map(len, acknowledged.values()))} acknowledged, all there')


if __name__ == '__main__':
    sys.exit(main())
