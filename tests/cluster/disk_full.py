"""Goal: on a full disk writes are refused, nothing acknowledged is lost, reads go on, a broker that
was killed or stopped starts again, and writing goes on by itself when there is room again.
Method: a broker on a small file system of its own; a balloon file takes the room to the last block,
under load, after each death and before each start, so that whatever a death left free is gone, too;
starts are killed half-way. All that was acknowledged is read after each step."""
import collections
import ctypes
import errno
import os
import pathlib
import select
import shutil
import struct
import subprocess
import sys
import tempfile

from broker_process import BUILD, Broker, skip
from claims import SECONDS, need
from numbered import PARTITIONS, AdminClient, NewTopic, Producer, check, create, read_all

TOPIC = 'numbers'
FILE_SYSTEM_BYTES = 160 << 20
VALUE = b'x' * 20000
ROUNDS = {'tmpfs': 3, 'ext4': 1}
# How many times files of the data directory were opened when a start is killed: it opens some 80
# up to its line `ready`, where it is killed at the latest; these cut it in all of its parts.
HALF_STARTS = (1, 10, 20, 40, 70)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


class SmallFileSystem:
    """A file system of its own; needs the right to mount."""

    def __init__(self, kind):
        self.kind = kind
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='millrace-small-'))
        self.image = self.directory.with_suffix('.image')

    def __enter__(self):
        if self.kind == 'tmpfs':
            result = run('mount', '-t', 'tmpfs', '-o', f'size={FILE_SYSTEM_BYTES}', 'tmpfs',
                         str(self.directory))
        else:
            self.image.touch()
            os.truncate(self.image, FILE_SYSTEM_BYTES)
            result = run('mkfs.' + self.kind, '-q', '-m', '0', str(self.image))
            if result.returncode == 0:
                result = run('mount', '-o', 'loop', str(self.image), str(self.directory))
        if result.returncode != 0:
            self.__exit__()
            raise OSError(result.stderr.strip())
        return self

    def __exit__(self, *rest):
        run('umount', str(self.directory))
        self.directory.rmdir()
        self.image.unlink(missing_ok=True)

    def fill(self):
        """Until not one more block can be had."""
        with open(self.directory / 'balloon', 'ab') as balloon:
            step = 64 << 20
            while step >= 4096:
                try:
                    size = os.fstat(balloon.fileno()).st_size
                    os.posix_fallocate(balloon.fileno(), size, step)
                except OSError as error:
                    need(error.errno == errno.ENOSPC, str(error))
                    # A failed one may have taken a part.
                    os.ftruncate(balloon.fileno(), size)
                    step //= 2
        free = shutil.disk_usage(self.directory).free
        need(free < 64 << 10, f'{free} bytes are free on a full disk')

    def empty(self):
        (self.directory / 'balloon').unlink()


class OpenedFiles:
    """Tells that files are opened, of those directories that are there when it begins."""
    OPEN = 0x20  # IN_OPEN of inotify(7), which Python has no module for.

    def __init__(self, directory):
        library = ctypes.CDLL(None, use_errno=True)
        self.events = library.inotify_init1(os.O_CLOEXEC)
        for path in (directory, *(path for path in directory.rglob('*') if path.is_dir())):
            added = library.inotify_add_watch(self.events, os.fsencode(path), self.OPEN)
            need(added >= 0, f'{path} is not watched: {os.strerror(ctypes.get_errno())}')

    def wait_for(self, count, end):
        """Until so many were opened, or something can be read from `end`."""
        while count > 0:
            ready, _, _ = select.select([self.events, end], [], [], SECONDS)
            need(ready, f'{count} more are not opened')
            if end in ready:
                return
            told = os.read(self.events, 4096)
            while told:
                told = told[16 + struct.unpack_from('I', told, 12)[0]:]
                count -= 1

    def close(self):
        os.close(self.events)


class Tester:
    def __init__(self, small, broker):
        self.small = small
        self.broker = broker
        self.acknowledged = collections.defaultdict(dict)
        self.next = 0
        self.refusals = collections.Counter()

    def write(self, count, settings):
        """How many of the next numbers were acknowledged."""
        answers = []

        def on_delivery(error, message):
            answers.append(error)
            if error is None:
                self.acknowledged[message.partition()][int(message.key())] = message.offset()
            else:
                self.refusals[error.name()] += 1

        producer = Producer({'bootstrap.servers': self.broker.bootstrap, **settings})
        for number in range(self.next, self.next + count):
            producer.produce(TOPIC, VALUE, key=str(number), partition=number % PARTITIONS,
                             on_delivery=on_delivery)
        need(producer.flush(90) == 0, 'records were never answered')
        self.next += count
        return sum(error is None for error in answers)

    def writes(self):
        need(self.write(100, {'message.timeout.ms': 60000}) == 100,
             'writing does not go on when there is room')

    def refuses(self):
        """What was allocated ahead is still filled; then every answer is the code for it."""
        self.refusals.clear()
        self.write(400, {'retries': 0})
        need(set(self.refusals) == {'KAFKA_STORAGE_ERROR'}, f'refused with {dict(self.refusals)}')

    def reads(self):
        check(self.acknowledged, read_all(self.broker.bootstrap, lambda m: int(m.key())))

    def starts(self):
        self.small.fill()
        self.broker.start()
        self.reads()

    def starts_half(self, opens):
        """Killed on its way up."""
        self.small.fill()
        command = [str(BUILD / 'millrace-broker')]
        for key, value in self.broker.settings.items():
            command += ['--set', f'{key}={value}']
        opened = OpenedFiles(pathlib.Path(self.broker.settings['log.dir']))
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                opened.wait_for(opens, process.stdout)
            finally:
                process.kill()
                opened.close()

    def makes_topic(self, name):
        """It has no logs yet, but that stops nothing else."""
        admin = AdminClient({'bootstrap.servers': self.broker.bootstrap})
        for future in admin.create_topics([NewTopic(name, 20, 1)]).values():
            future.result(30)

    def has_topic(self, name):
        errors = []
        producer = Producer({'bootstrap.servers': self.broker.bootstrap,
                             'message.timeout.ms': 60000})
        for partition in range(20):
            producer.produce(name, b'late', partition=partition,
                             on_delivery=lambda error, message: errors.append(error))
        need(producer.flush(90) == 0, 'records were never answered')
        need(errors == [None] * 20, f'{name} has no logs although there is room: {errors}')

    def round(self, number):
        self.writes()
        self.small.fill()
        self.refuses()
        self.reads()
        self.makes_topic(f'made-{number}')
        self.broker.kill()
        self.starts()
        self.refuses()
        self.broker.kill()
        for opens in HALF_STARTS:
            self.starts_half(opens)
        self.starts()
        self.small.fill()
        self.broker.stop()
        self.starts()
        self.refuses()
        self.small.empty()
        self.writes()
        self.has_topic(f'made-{number}')
        self.reads()


def play(kind):
    with SmallFileSystem(kind) as small:
        with Broker(log_dir=small.directory / 'data', disk_free_bytes_min=8 << 20) as broker:
            create(broker.bootstrap, 1)
            tester = Tester(small, broker)
            for number in range(ROUNDS[kind]):
                tester.round(number)
            total = sum(map(len, tester.acknowledged.values()))
            print(f'{kind}: {total} acknowledged over {ROUNDS[kind]} rounds, all there')


def main():
    played = 0
    for kind in ROUNDS:
        try:
            play(kind)
            played += 1
        except OSError as error:
            print(f'{kind} cannot be had here: {error}')
    if played == 0:
        skip('a file system cannot be mounted here')


if __name__ == '__main__':
    sys.exit(main())
