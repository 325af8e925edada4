"""Our own library against real brokers: the examples, every codec over a kill -9, the admin calls."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cluster'))
from broker_process import Broker, need  # noqa: E402

BUILD = pathlib.Path(os.environ.get('MILLRACE_BUILD', 'build'))
EXAMPLES = BUILD / 'client/examples'
PROGRAM = BUILD / 'tests/round_trip'
COUNT = int(os.environ.get('MILLRACE_RECORDS', '100000'))
CODECS = {1: 'none', 2: 'gzip', 3: 'snappy', 4: 'lz4', 5: 'zstd'}
SECONDS = 180


def run(*command):
    """Its output; the exit status must be 0."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=SECONDS)
    need(done.returncode == 0, f'{command[0]}: {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout


def examples(broker):
    for number in range(3):
        said = run(EXAMPLES / 'hello-produce', broker.bootstrap, 'greetings', f'hello {number}')
        need(said == f'partition 0 offset {number}\n', said)
    said = run(EXAMPLES / 'hello-consume', broker.bootstrap, 'greetings')
    need(said == 'hello 0\nhello 1\nhello 2\n', said)


def one_codec(broker, codec, name):
    """Half of the records before a kill -9, half behind it: each is there once and in order."""
    topic = f'round-{name}'
    producer = subprocess.Popen([PROGRAM, 'produce', broker.bootstrap, topic, str(COUNT),
                                 str(codec)], stdout=subprocess.PIPE, text=True)
    try:
        need(producer.stdout.readline() == 'half\n', 'the producer ended early')
        broker.kill()
        broker.start()
        said, _ = producer.communicate(timeout=SECONDS)
    finally:
        if producer.poll() is None:
            producer.kill()
    need(producer.returncode == 0, f'{name}: {said}')
    said = run(PROGRAM, 'consume', broker.bootstrap, topic, COUNT)
    need(said.strip() == f'found {COUNT} wrong 0 ingested {COUNT}', f'{name}: {said}')


def main():
    with Broker(num_partitions=1) as broker:
        examples(broker)
        print(run(PROGRAM, 'admin', broker.bootstrap, 'managed').strip())
    with Broker(num_partitions=4) as broker:
        for codec, name in CODECS.items():
            one_codec(broker, codec, name)


if __name__ == '__main__':
    main()
