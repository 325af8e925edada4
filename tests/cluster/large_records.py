"""Records as large as a producer may write, and more of them than fit a task at once, through a job."""
import base64
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

from dev_process import Dev
from job_rig import Processor, need, progress, read_committed, run, sql_of, text_of, wait_for
from txn_client import Consumer, Producer, TopicPartition

# With key and framing around it, a batch of 1,048,588 bytes, the default of max.message.bytes.
LARGEST_VALUE = 1048588 - 61 - 12
# Of a megabyte each: more than a task may have under way (OUTPUT_BYTES).
OUTPUT_BYTES = 32 << 20
BULKY_ROWS = 300
# Three columns of doubles each, of a slice of 16,384 rows: beyond 256 MiB.
WIDE_COLUMNS = 900
WIDE_ROWS = 20000


def record_of(index, at, key, byte_count):
    """A row of so many bytes that no codec makes smaller by much."""
    rng = random.Random(index)
    head = json.dumps({'at': text_of(at), 'key': key, 'value': index, 'pad': ''})[:-2]
    return (head + base64.b64encode(rng.randbytes(byte_count)).decode()[:byte_count - len(head) - 2] + '"}').encode()


def test_large(bootstrap):
    """What a producer may write (a batch of max.message.bytes) neither stops a job nor is lost."""
    run('topic', 'create', 'large-in', '--partitions', 1)
    run('sql', '-c', sql_of('large'))
    producer = Producer({'bootstrap.servers': bootstrap, 'message.max.bytes': 1 << 24, 'linger.ms': 0})

    def send(value, headers=None):
        told = []
        producer.produce('large-in', value, b'k', headers=headers, timestamp=1234567890123,
                         on_delivery=lambda error, message: told.append((error, message.offset())))
        producer.flush(30)
        need(told, f'{len(value)} bytes are not answered')
        return told[0]

    send(record_of(1, 1000, 'a', 200))
    wait_for('a mark', lambda: progress('large')['eventTime'].get('watermark') == text_of(980).replace('Z', '.000Z'))
    headers = [('trace', bytes(range(256))), ('empty', b''), ('none', None), ('trace', b'again')]
    late = {}
    for value, given in ((record_of(2, 10, 'b', 1000000), headers),
                         (record_of(3, 20, 'c', LARGEST_VALUE), None),
                         (record_of(4, 30, 'd', 500000), [(f'h{n}', b'') for n in range(40000)])):
        error, offset = send(value, given)
        need(not error, f'{len(value)} bytes: {error}')
        late[offset] = value, given or []
    need(send(record_of(5, 40, 'e', LARGEST_VALUE + 1))[0], 'a batch above max.message.bytes was taken')
    long_key = base64.b64encode(random.Random(5).randbytes(480000)).decode()
    send(record_of(6, 1010, long_key, len(long_key) + 100))
    send(record_of(7, 1100, 'end', 200))

    def claim():
        totals = progress('large')['totals']
        is_through = (totals['input_rows'], totals['late_rows'], totals['output_rows']) == (6, len(late), 2)
        return True if is_through else (totals, run('job', 'describe', 'large')[0].get('fault'))
    wait_for('it goes on', claim)
    consumer = Consumer({'bootstrap.servers': bootstrap, 'group.id': 'large', 'isolation.level': 'read_committed'})
    consumer.assign([TopicPartition('large-late', 0, 0)])
    for _ in range(len(late)):
        message = consumer.poll(30)
        need(message and not message.error(), f'{len(late)} late records are missing: {message and message.error()}')
        found = message.headers()
        added = dict(found[-3:])
        value, given = late.pop(int(added['millrace.offset']))
        need(message.value() == value, f'the late record of {len(value)} bytes is another one')
        need(message.key() == b'k' and message.timestamp()[1] == 1234567890123, 'its key or time is another one')
        need(found[:-3] == given, f'the headers of {len(value)} bytes are other ones')
        need(added['millrace.reason'] == b'late' and added['millrace.partition'] == b'0', f'it has {added}')
    consumer.close()
    keys = {json.loads(record['value'])['key'] for record in read_committed('large-out', 2)}
    need(keys == {'a', long_key}, f'groups with keys of {sorted(map(len, keys))} bytes came out')
    run('job', 'stop', 'large')


def test_refused(bootstrap):
    """A late topic of somebody else's that takes less stops the job, and the fault says which limit."""
    run('topic', 'create', 'tight-in', '--partitions', 1)
    run('topic', 'create', 'tight-late', '--partitions', 1, '--config', 'max.message.bytes=50000')
    run('sql', '-c', sql_of('tight'))
    producer = Producer({'bootstrap.servers': bootstrap, 'linger.ms': 0})
    producer.produce('tight-in', record_of(1, 1000, 'a', 200))
    need(producer.flush(30) == 0, 'it was not taken')
    wait_for('a mark', lambda: progress('tight')['eventTime'].get('watermark') == text_of(980).replace('Z', '.000Z'))
    producer.produce('tight-in', record_of(2, 10, 'a', 100000))
    need(producer.flush(30) == 0, 'it was not taken')
    wait_for('it stops', lambda: run('job', 'describe', 'tight')[0]['state'] == 'failed')
    fault = run('job', 'describe', 'tight')[0]['fault']
    need('max.message.bytes' in fault and 'late topic' in fault, f'the fault is {fault}')


def test_bulky(bootstrap):
    """Late rows that were small while compressed do not fill an epoch's output: it ends before."""
    run('topic', 'create', 'bulky-in', '--partitions', 1)
    run('sql', '-c', sql_of('bulky'))
    producer = Producer({'bootstrap.servers': bootstrap, 'linger.ms': 100, 'compression.type': 'zstd'})

    def produce(at, size, count=1):
        value = json.dumps({'at': text_of(at), 'key': 'a', 'value': 1, 'pad': 'x' * size})
        for _ in range(count):
            producer.produce('bulky-in', value)
        need(producer.flush(60) == 0, 'it was not all taken')

    produce(1000, 10)
    wait_for('a mark', lambda: progress('bulky')['eventTime'].get('watermark') == text_of(980).replace('Z', '.000Z'))
    run('job', 'stop', 'bulky')
    produce(10, 990000, BULKY_ROWS)
    again = sql_of('bulky')
    run('sql', '-c', again[again.index('SET'):])
    wait_for('all are late', lambda: progress('bulky')['totals']['late_rows'] == BULKY_ROWS or (
        run('job', 'describe', 'bulky')[0].get('fault'), progress('bulky')['totals']), 120)
    run('job', 'stop', 'bulky')


def test_wide():
    """What many expressions make of many rows has room: such a query takes fewer rows at a time."""
    run('topic', 'create', 'wide-in', '--partitions', 1)
    lines = (json.dumps({'value': json.dumps({'v': index}), 'partition': 0}) for index in range(WIDE_ROWS))
    run('produce', 'wide-in', '--json', stdin='\n'.join(lines) + '\n')
    columns = ', '.join(f'c{index} double precision' for index in range(WIDE_COLUMNS))
    sums = ', '.join(f'sum(v * 2.0 + {index})' for index in range(WIDE_COLUMNS))
    run('sql', '-c', f"""
CREATE TABLE wide_in (v int) WITH (topic = 'wide-in', format = 'json');
CREATE TABLE wide_out ({columns}) WITH (topic = 'wide-out', format = 'json');
SET job.name = 'wide'; SET job.output_mode = 'update';
INSERT INTO wide_out SELECT {sums} FROM wide_in""")
    wanted = [WIDE_ROWS * (WIDE_ROWS - 1) + index * WIDE_ROWS for index in range(WIDE_COLUMNS)]

    def claim():
        records = run('consume', 'wide-out', '--from', 'earliest', '--until-end')
        found = list(json.loads(records[-1]['value']).values()) if records else None
        return True if found == wanted else (found and found[0], run('job', 'describe', 'wide')[0].get('fault'))
    wait_for(f'the sums of {WIDE_ROWS} rows', claim)
    run('job', 'stop', 'wide')


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix='millrace-'))
    with Dev(directory / 'dev', '--brokers', 3, '--processors', 0, '--port', 0) as dev:
        bootstrap = os.environ['MILLRACE_BOOTSTRAP'] = dev.wait_ready()
        settings = {'task.output.bytes.max': OUTPUT_BYTES}
        with Processor(directory / 'processor', bootstrap, settings=settings) as processor:
            processor.wait_ready()
            test_large(bootstrap)
            test_refused(bootstrap)
            test_bulky(bootstrap)
            test_wide()
            processor.stop()
        need(dev.terminate() == 0, f'the cluster did not stop in order: {dev.seen}')
    shutil.rmtree(directory)


if __name__ == '__main__':
    sys.exit(main())
