"""Our own library against real brokers: the examples, every codec over a kill -9 of the
only broker, a kill -9 of each of three, the admin calls."""
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cluster'))
from broker_process import Broker, Cluster  # noqa: E402
from claims import need, wait_for  # noqa: E402
from our_member import PROGRAM, SECONDS, OurMember  # noqa: E402

BUILD = pathlib.Path(os.environ.get('MILLRACE_BUILD', 'build'))
EXAMPLES = BUILD / 'client/examples'
COUNT = int(os.environ.get('MILLRACE_RECORDS', '100000'))
CODECS = {1: 'none', 2: 'gzip', 3: 'snappy', 4: 'lz4', 5: 'zstd'}
os.environ['MILLRACE_FIRST_TIMESTAMP'] = str(int(time.time() * 1000))


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


def round_trip(bootstrap, victim, codec, name):
    """Half of the records before a kill -9, half behind it: each is there once and in order."""
    topic = f'round-{name}'
    producer = subprocess.Popen([PROGRAM, 'produce', bootstrap, topic, str(COUNT), str(codec)],
                                stdout=subprocess.PIPE, text=True)
    try:
        need(producer.stdout.readline() == 'half\n', 'the producer ended early')
        victim.kill()
        victim.start()
        said, _ = producer.communicate(timeout=SECONDS)
    finally:
        if producer.poll() is None:
            producer.kill()
    need(producer.returncode == 0, f'{name}: {said}')
    said = run(PROGRAM, 'consume', bootstrap, topic, COUNT)
    need(said.strip() == f'found {COUNT} wrong 0 ingested {COUNT}', f'{name}: {said}')


def groups(bootstrap, victim, name):
    """Members come while there is work; what they read between them is everything once."""
    topic, group, count = f'group-{name}', f'readers-{name}', COUNT // 10
    run(PROGRAM, 'produce', bootstrap, topic, count, 4)
    one = OurMember(bootstrap, topic, group)
    one.wait_told('assigned')
    two = OurMember(bootstrap, topic, group)
    one.wait_told('revoked', 'assigned')
    two.wait_told('assigned')
    if victim is not None:
        victim.kill()
        victim.start()
    run(PROGRAM, 'produce', bootstrap, topic, count, 4)
    expected = sorted(list(range(count)) * 2)
    wait_for('all is read', lambda: len(one.values) + len(two.values) >= len(expected) and
             set(one.values + two.values) == set(expected), SECONDS)
    first, second = one.end(), two.end()
    need(second, 'the second member read nothing')
    found = sorted(first + second)
    if victim is None:
        need(found == expected, f'{name}: {len(found)} of {len(expected)} numbers')
    else:  # What was not committed when the coordinator died may be read again.
        need(set(found) == set(expected) and len(found) >= len(expected), f'{name}: {len(found)}')


def transform(bootstrap):
    """The example of exactly once: run twice, nothing is copied twice."""
    for half in range(2):
        run(PROGRAM, 'produce', bootstrap, 'plain', 1000, 4)
        run(EXAMPLES / 'hello-transform', bootstrap, 'plain', 'copied')
        said = run(EXAMPLES / 'hello-consume', bootstrap, 'copied')
        need(len(said.splitlines()) == 1000 * (half + 1), f'{len(said.splitlines())} copied')


def fenced_member(bootstrap):
    """Offsets of a member that the group went on without get into no transaction (KIP-447)."""
    run(PROGRAM, 'produce', bootstrap, 'fenced', 100, 4)
    said = run(BUILD / 'tests/fenced_member', bootstrap, 'fenced', 'fenced-readers').splitlines()
    need(said[0] == 'generation old: ILLEGAL_GENERATION', said)
    need('given the partitions to others' in said[1] and 'abort the transaction' in said[1], said)
    need(said[2:] == ['must abort 1 fatal 0', 'generation new: OK', 'committed 2'], said)
    said = run(BUILD / 'tests/fenced_member', bootstrap, 'fenced', 'outrun-readers', 'out')
    need(said == 'refused 1 late 0 all: ILLEGAL_GENERATION\n', said)
    said = run(BUILD / 'tests/fenced_member', bootstrap, 'fenced', 'static-readers', 'instance')
    need('FENCED_INSTANCE_ID' in said and 'abort the transaction and stop' in said, said)


def late_producer(bootstrap):
    """Who took too long must abort and goes on, unless another one has taken over; nothing of what
    was aborted is seen."""
    said = run(BUILD / 'tests/late_producer', bootstrap, 'late').splitlines()
    late = ['seen: plain', 'commit: INVALID_TXN_STATE abort 1 fatal 0', 'abort: OK abort 0 fatal 0',
            'seen: in time']
    writing = ['seen: plain', 'write: INVALID_PRODUCER_EPOCH abort 1 fatal 0',
               'commit: INVALID_PRODUCER_EPOCH abort 1 fatal 0']
    fenced = ['abort: PRODUCER_FENCED abort 0 fatal 1', 'begin: PRODUCER_FENCED abort 0 fatal 1']
    expected = ['seen: first', *late, *writing, *late[2:], *writing, *fenced, *['seen: heir'] * 2]
    need(said == expected, said)


def transactions(bootstrap, victim, name):
    """Each record is seen once by a committed reader, though each was aborted once."""
    topic, count = f'txn-{name}', COUNT // 10
    producer = subprocess.Popen([PROGRAM, 'transact', bootstrap, topic, str(count)],
                                stdout=subprocess.PIPE, text=True)
    try:
        need(producer.stdout.readline() == 'half\n', 'the producer ended early')
        if victim is not None:
            victim.kill()
            victim.start()
        said, _ = producer.communicate(timeout=SECONDS)
    finally:
        if producer.poll() is None:
            producer.kill()
    need(producer.returncode == 0 and said.startswith('fenced 1: '), f'{name}: {said}')
    said = run(PROGRAM, 'consume', bootstrap, topic, count)
    need(said.strip() == f'found {count} wrong 0 ingested {count}', f'{name}: {said}')


def main():
    with Broker(num_partitions=1) as broker:
        examples(broker)
        print(run(PROGRAM, 'admin', broker.bootstrap, 'managed').strip())
    with Broker(num_partitions=4) as broker:
        for codec, name in CODECS.items():
            round_trip(broker.bootstrap, broker, codec, name)
        transactions(broker.bootstrap, None, 'alone')
        groups(broker.bootstrap, None, 'alone')
        transform(broker.bootstrap)
        fenced_member(broker.bootstrap)
        late_producer(broker.bootstrap)
    with Cluster(num_partitions=4) as cluster:
        for number, victim in cluster.brokers.items():
            round_trip(cluster.bootstrap, victim, 4, f'victim-{number}')
            transactions(cluster.bootstrap, victim, f'victim-{number}')
            groups(cluster.bootstrap, victim, f'victim-{number}')


if __name__ == '__main__':
    main()
