"""Goal: kcat, as Debian ships it, lists, produces and consumes, with every codec it knows; and what
is stored is the codec that it sent."""
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker, need, skip  # noqa: E402

CODECS = {'none': 0, 'gzip': 1, 'snappy': 2, 'lz4': 3, 'zstd': 4}


def kcat(broker, *arguments, text=None):
    result = subprocess.run(['kcat', '-b', broker.bootstrap, '-m', '30', *arguments], input=text,
                            capture_output=True, text=True, timeout=120)
    need(result.returncode == 0, f'kcat {arguments}: {result.stderr}')
    return result.stdout


def stored_codecs(broker, topic):
    """The codec bits of every batch in the topic's segments, after a clean stop."""
    codecs = set()
    for path in sorted((broker.directory / 'data').rglob(f'{topic}-0/*.log')):
        data, at = path.read_bytes(), 0
        while at + 61 <= len(data):
            codecs.add(int.from_bytes(data[at + 21:at + 23], 'big') & 7)
            at += 12 + int.from_bytes(data[at + 8:at + 12], 'big')
    return codecs


def main():
    if not shutil.which('kcat'):
        skip('kcat is not installed')
    lines = [f'line {i} ' + 'x' * (i % 100) for i in range(1000)]
    with Broker() as broker:
        for codec in CODECS:
            topic = f'codec-{codec}'
            kcat(broker, '-P', '-t', topic, '-z', codec, '-p', '0', text='\n'.join(lines))
            read = kcat(broker, '-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q')
            need(read.splitlines() == lines, f'{codec}: {len(read.splitlines())} lines came back')
        listed = json.loads(kcat(broker, '-L', '-J'))
        names = {topic['topic'] for topic in listed['topics']}
        need(names >= {f'codec-{codec}' for codec in CODECS}, f'listed {names}')
        offset = kcat(broker, '-Q', '-t', 'codec-none:0:-1')
        need('offset 1000' in offset, offset)
        broker.stop()
        for codec, number in CODECS.items():
            found = stored_codecs(broker, f'codec-{codec}')
            # librdkafka leaves a batch as it is when compressing does not make it smaller.
            need(number in found and found <= {0, number}, f'{codec} is stored as {found}')
    print('kcat: 5 codecs, 1000 records each, stored as sent')


if __name__ == '__main__':
    sys.exit(main())
