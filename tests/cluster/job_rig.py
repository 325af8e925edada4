"""Jobs as a test sees them: processors as children, rows to feed, and the same sums by other means."""
import collections
import datetime
import json
import pathlib
import random
import select
import signal
import subprocess

from claims import need, wait_for
from dev_process import BUILD, fail, run

READY_SECONDS = 60
WINDOW_SECONDS = 60
DELAY_SECONDS = 20
EPOCH = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)


class Processor:
    """One millrace-processor; `kill_at` names a point of an epoch at which it kills itself."""

    def __init__(self, directory, bootstrap, kill_at=None, settings=None):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.trace_path = directory / 'trace.log'
        self.trace = open(self.trace_path, 'ab')
        settings = {'bootstrap.servers': bootstrap, **(settings or {})}
        if kill_at:
            settings['test.kill.at'] = kill_at
        command = [BUILD / 'millrace-processor']
        for key, value in settings.items():
            command += ['--set', f'{key}={value}']
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.trace)

    def wait_ready(self):
        need(select.select([self.process.stdout], [], [], READY_SECONDS)[0], f'not ready\n{self.tail()}')
        line = self.process.stdout.readline()
        need(line.startswith(b'ready port='), f'it said {line!r}\n{self.tail()}')
        return self

    def wait_killed(self, seconds=60):
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'it never came to its point\n{self.tail()}') from None
        need(code == -signal.SIGKILL, f'it ended with {code}\n{self.tail()}')

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        need(code == 0, f'stopped with {code}\n{self.tail()}')

    def tail(self):
        return self.trace_path.read_text(errors='replace')[-3000:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        self.process.stdout.close()
        self.trace.close()


def text_of(seconds):
    moment = EPOCH + datetime.timedelta(seconds=seconds)
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


class Rows:
    """Made-up events over `partitions`, in order of writing, some of them far behind."""

    def __init__(self, count, partitions, seed):
        rng = random.Random(seed)
        self.partitions = partitions
        self.rows = []
        for index in range(count):
            behind = rng.choice((0, 0, 1, 5, 15, 30, 90))
            self.rows.append({'at': max(0, index // 4 - behind), 'key': rng.choice('abcdefg'),
                              'value': rng.randrange(-1000, 1000)})
        # The last rows of all partitions close what is before them.
        self.rows += [{'at': count // 4 + 500, 'key': 'end', 'value': 0} for _ in range(partitions)]

    def lines(self, begin=0, end=None):
        """What `millrace produce --json` reads."""
        out = []
        for index, row in list(enumerate(self.rows))[begin:end]:
            value = json.dumps({'at': text_of(row['at']), 'key': row['key'], 'value': row['value'],
                                'other': [index, {'deep': 'x"y'}]})
            out.append(json.dumps({'partition': index % self.partitions, 'value': value, 'key': f'k{index}'}))
        return '\n'.join(out) + '\n'

    def watermark(self, end=None):
        """Of the input, or of what comes before `end` in it, in seconds."""
        return min(max(row['at'] for row in self.rows[:end][p::self.partitions])
                   for p in range(self.partitions)) - DELAY_SECONDS


def sql_of(name, extra='', settings=''):
    return f'''
CREATE TABLE {name}_in (at timestamptz, key text, value int)
  WITH (topic = '{name}-in', format = 'json', event_time = 'at', watermark = '{DELAY_SECONDS} seconds',
        late_topic = '{name}-late'{extra});
CREATE TABLE {name}_out (window_start timestamptz, key text, n bigint, total bigint, mean double precision,
                         low int, high int)
  WITH (topic = '{name}-out', format = 'json');
SET job.name = '{name}';
{settings}
INSERT INTO {name}_out
  SELECT window_start, key, count(*), sum(value), avg(value), min(value), max(value)
  FROM tumble({name}_in, at, interval '{WINDOW_SECONDS} seconds') GROUP BY window_start, key;
'''


def progress(job):
    return run('job', 'progress', job)[0]


def wait_watermark(job, rows, end=None, seconds=60):
    wanted = text_of(rows.watermark(end)).replace('Z', '.000Z')

    def claim():
        try:
            now = progress(job)['eventTime'].get('watermark')
        except AssertionError as error:
            return str(error)  # Nobody answers while processors come and go.
        return True if now == wanted else now
    wait_for(f'the watermark {wanted} of {job}', claim, seconds)


def read_committed(topic, count):
    """All of it, once there are so many records: who ends a transaction is answered before others can read it."""
    records = []

    def claim():
        records[:] = run('consume', topic, '--from', 'earliest', '--until-end')
        return True if len(records) >= count else len(records)
    wait_for(f'{count} records of {topic}', claim)
    return records


def check_output(job, rows):
    """What is read committed must be what a computation over the rows in time gives."""
    totals = progress(job)['totals']
    late = collections.Counter()
    for record in read_committed(f'{job}-late', totals['late_rows']):
        index = int(record['headers']['millrace.offset']) * rows.partitions + int(
            record['headers']['millrace.partition'])
        late[index] += 1
        need(record['key'] == f'k{index}', f'late record {record} has another key than its row {index}')
        need(record['headers']['millrace.reason'], f'late record {record} has no reason')
    need(all(count == 1 for count in late.values()), f'late twice: {late.most_common(3)}')
    groups = collections.defaultdict(list)
    for index, row in enumerate(rows.rows):
        window = row['at'] // WINDOW_SECONDS * WINDOW_SECONDS
        is_closed = window + WINDOW_SECONDS <= rows.watermark()
        need(is_closed or index not in late, f'row {index} is late, its window is open')
        if is_closed and index not in late:
            groups[text_of(window), row['key']].append(row['value'])
    found = {}
    for record in read_committed(f'{job}-out', totals['output_rows']):
        row = json.loads(record['value'])
        key = row['window_start'], row['key']
        need(key not in found, f'{key} comes twice')
        need(json.loads(record['key']) == [row['key']], f'the key of {record} is not its group')
        found[key] = [row['n'], row['total'], row['mean'], row['low'], row['high']]
    wanted = {key: [len(values), sum(values), sum(values) / len(values), min(values), max(values)]
              for key, values in groups.items()}
    for key in sorted(set(found) | set(wanted)):
        need(found.get(key) == wanted.get(key), f'{key}: {found.get(key)}, should be {wanted.get(key)}')
    return len(found), len(late)


__all__ = ['Processor', 'Rows', 'check_output', 'fail', 'need', 'progress', 'read_committed', 'run', 'sql_of',
           'text_of', 'wait_for', 'wait_watermark']
