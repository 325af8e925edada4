"""Goal: the commands for topics and records keep what scripts rely on: shapes, order,
exit statuses, and data that a second run finds.
Method: one broker by `millrace dev`; every answer is JSON, as programs read it."""
import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from dev_process import MILLRACE, Dev, fail, need, run  # noqa: E402

STATUS_SECONDS_MAX = 20  # It answers after 3 seconds at most, on a machine that is not busy.


def same(found, wanted, what):
    need(found == wanted, f'{what}: {found!r} instead of {wanted!r}')


def topics():
    same(run('topic', 'create', 'a', '--partitions', 3, '--config', 'retention.ms=86400000'),
         [{'name': 'a', 'created': True}], 'create')
    same(fail('topic', 'create', 'a'), 'TOPIC_ALREADY_EXISTS', 'create again')
    same(run('topic', 'create', 'a', '--if-not-exists'), [{'name': 'a', 'created': False}],
         'create if it does not exist')
    run('topic', 'create', 'b')
    rows = run('topic', 'list')[0]
    same([row for row in rows if row['name'] in 'ab'],
         [{'name': 'a', 'partitions': 3, 'replication_factor': 1, 'internal': False},
          {'name': 'b', 'partitions': 1, 'replication_factor': 1, 'internal': False}], 'list')
    topic = run('topic', 'describe', 'a')[0]
    same(list(topic), ['name', 'id', 'partitions', 'config'], 'members of describe')
    same(topic['partitions'],
         [{'partition': i, 'leader': 1, 'epoch': topic['partitions'][i]['epoch'], 'isr': [1],
           'replicas': [1], 'start': 0, 'end': 0} for i in range(3)], 'partitions of describe')
    same(len(base64.urlsafe_b64decode(topic['id'] + '==')), 16, 'bytes of the id')
    same(topic['config']['retention.ms'], '86400000', 'a setting of describe')
    same(run('topic', 'delete', 'b'), [{'name': 'b', 'deleted': True}], 'delete')
    same(fail('topic', 'describe', 'b'), 'UNKNOWN_TOPIC_OR_PARTITION', 'describe what is gone')
    same(fail('topic', 'delete', 'b'), 'UNKNOWN_TOPIC_OR_PARTITION', 'delete what is gone')


def read(topic, *words):
    return run('consume', topic, '--from', 'earliest', '--until-end', *words)


def records():
    lines = ''.join(f'line {i}\n' for i in range(1000))
    same(run('produce', 'a', '--partition', 1, '--key', 'k', stdin=lines),
         [{'topic': 'a', 'records': 1000}], 'produce')
    rows = read('a')
    same([row['value'] for row in rows], lines.split('\n')[:-1], 'values, in order')
    same([row['offset'] for row in rows], list(range(1000)), 'offsets')
    same({(row['topic'], row['partition'], row['key']) for row in rows}, {('a', 1, 'k')}, 'rest')
    same(list(rows[0]), ['topic', 'partition', 'offset', 'timestamp', 'ingested', 'key', 'value',
                         'headers'], 'members')
    need(all(0 <= row['ingested'] - row['timestamp'] < 60000 for row in rows), 'times of ingestion')
    same(run('topic', 'describe', 'a')[0]['partitions'][1]['end'], 1000, 'end')

    one = {'key': {'base64': '/wA='}, 'value': 'a\x00b', 'partition': 2, 'timestamp': 978307200000,
           'headers': {'h': '1', 'none': None, 'twice': ['a', {'base64': '/w=='}]}}
    run('produce', 'a', '--json', stdin=json.dumps(one) + '\n{"partition":2}\n')
    found, empty = read('a', '--partition', 2)
    same({name: found[name] for name in one}, one, 'a record with everything')
    same((empty['key'], empty['value'], empty['headers']), (None, None, {}), 'a record of nothing')
    same(len(read('a', '--max', 10)), 10, 'records of --max')
    same([row['offset'] for row in run('consume', 'a', '--partition', 1, '--from', 998,
                                       '--until-end')], [998, 999], 'from an offset')
    same([row['offset'] for row in run('consume', 'a', '--partition', 2, '--until-end', '--from',
                                       '2001-01-01T00:00:01Z')], [1], 'from a time')
    same(run('consume', 'a', '--until-end'), [], 'from the end to the end')


def failures():
    same(run('produce', 'a', stdin=''), [{'topic': 'a', 'records': 0}], 'no line')
    same(fail('consume', 'nope', '--until-end'), 'UNKNOWN_TOPIC_OR_PARTITION', 'no such topic')
    same(fail('consume', 'a', '--from', 'yesterday', code=2), 'USAGE', 'no such place')
    bad = subprocess.run([MILLRACE, 'produce', 'a', '--json', '-o', 'json'], text=True,
                         input='{"value":"good"}\n{"valeu":"bad"}\n', capture_output=True)
    same(bad.returncode, 1, 'exit of a bad line')
    error = json.loads(bad.stdout)['error']
    same((error['code'], error['what']), ('BAD_LINE', 'line 2 is no record'), 'a bad line')


def interrupted_member():
    """Ctrl-C commits what was printed and leaves the group: nobody waits for its session to end."""
    run('topic', 'create', 'handed')
    run('produce', 'handed', stdin='1\n2\n')
    words = [MILLRACE, 'consume', 'handed', '--group', 'hands', '--from', 'earliest', '-o', 'json']
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as reader:
        seen = [json.loads(reader.stdout.readline())['value'] for _ in range(2)]
        reader.send_signal(signal.SIGINT)
        same((seen, reader.wait(timeout=20)), (['1', '2'], -signal.SIGINT), 'the first member')
    run('produce', 'handed', stdin='3\n')
    begin = time.monotonic()
    same(run(*words[1:-2], '--max', 1)[0]['value'], '3', 'what the next member begins with')
    need(time.monotonic() - begin < 6, f'the group waited {time.monotonic() - begin:.1f} s for who had left')


def large_lines():
    """What a line may have is for its topic to say; where one has too much, it is named."""
    long = 'x' * 3_000_000
    run('topic', 'create', 'large', '--config', 'max.message.bytes=8000000', '--config', 'compression.type=producer')
    same(run('produce', 'large', stdin=f'a\n{long}\nb\n')[0]['records'], 3, 'lines written')
    noise = base64.b64encode(os.urandom(7_000_000)).decode()
    answer = run('produce', 'large', stdin=f'c\nd\n{noise}\n', code=1)[0]['error']
    same(answer['what'].split(':')[0], 'line 3 was not written, 2 were', 'a line that is too large')
    answer = run('produce', 'large', '--partition', 7, stdin='e\n', code=1)[0]['error']
    same(answer['why'], 'the topic has no partition of this number', 'a partition that is not there')


def quiet_pipe():
    """A reader that has seen enough ends the command without a word."""
    command = f'{MILLRACE} consume a --from earliest -o json | head -n 1'
    done = subprocess.run(['bash', '-o', 'pipefail', '-c', command], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    same(len(done.stdout.splitlines()), 1, 'lines')
    same(done.stderr, '', 'words on stderr')


def closed_streams():
    """Streams that the caller has closed end the command with a word, not with an abort."""
    for words, code in ((f'{MILLRACE} topic list -o json >&-', 1), (f'{MILLRACE} produce a -o json <&-', 1),
                        (f'{MILLRACE} topic list -o json <&- 2>&-', 0)):
        done = subprocess.run(['bash', '-c', words], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        same(done.returncode, code, f'exit of {words}')


def follow():
    """Without --until-end the command goes on, and shows each record as it comes."""
    with subprocess.Popen([MILLRACE, 'consume', 'a', '--partition', '0', '--max', '2', '-o', 'json',
                           '--from', '0'], stdout=subprocess.PIPE, text=True) as reader:
        run('produce', 'a', '--partition', 0, stdin='first\n')
        same(json.loads(reader.stdout.readline())['value'], 'first', 'the first one')
        run('produce', 'a', '--partition', 0, stdin='second\n')
        same(json.loads(reader.stdout.readline())['value'], 'second', 'the second one')
        same(reader.wait(timeout=60), 0, 'exit')


def lags(group):
    rows = run('group', 'describe', group)[0]
    return {row['partition']: (row['committed'], row['end'], row['lag']) for row in rows}


def groups():
    """A group goes on where it has committed, and commits exactly what was printed."""
    run('topic', 'create', 'g', '--partitions', 2)
    for partition in range(2):
        run('produce', 'g', '--partition', partition, stdin=''.join(f'{i}\n' for i in range(100)))
    first = run('consume', 'g', '--group', 'team', '--from', 'earliest', '--max', 30)
    same(len(first), 30, 'records of --max')
    need(sum(committed or 0 for committed, _, _ in lags('team').values()) == 30, lags('team'))
    rest = run('consume', 'g', '--group', 'team', '--from', 'earliest', '--until-end')
    same(sorted((row['partition'], row['offset']) for row in first + rest),
         [(partition, i) for partition in range(2) for i in range(100)], 'both together')
    same(run('consume', 'g', '--group', 'team', '--until-end'), [], 'nothing is left')
    run('produce', 'g', '--partition', 1, stdin='one more\n')
    rows = run('group', 'describe', 'team')[0]
    same(rows, [{'topic': 'g', 'partition': 0, 'committed': 100, 'end': 100, 'lag': 0,
                 'member': None, 'host': None},
                {'topic': 'g', 'partition': 1, 'committed': 100, 'end': 101, 'lag': 1,
                 'member': None, 'host': None}], 'describe')
    with subprocess.Popen([MILLRACE, 'consume', 'g', '--group', 'team', '--max', '3', '-o', 'json'],
                          stdout=subprocess.PIPE, text=True) as reader:
        same(json.loads(reader.stdout.readline())['value'], 'one more', 'the one more')
        same({'group': 'team', 'state': 'Stable', 'type': 'consumer'} in run('group', 'list')[0],
             True, 'list')
        rows = run('group', 'describe', 'team')[0]
        need(len(rows) == 2 and all(row['member'] and row['host'] for row in rows), rows)
        run('produce', 'g', '--partition', 0, stdin='second\nthird\n')
        same(reader.wait(timeout=60), 0, 'exit')
    same(lags('team'), {0: (102, 102, 0), 1: (101, 101, 0)}, 'all committed')
    same(fail('group', 'describe', 'nobody'), 'GROUP_ID_NOT_FOUND', 'no such group')
    same(fail('consume', 'g', '--group', 'team', '--partition', 0, code=2), 'USAGE', 'of its own')
    same(fail('consume', 'absent', '--group', 'team'), 'UNKNOWN_TOPIC_OR_PARTITION', 'no topic')


def nodes():
    """The rows of the brokers, and the states of the processors by host."""
    status = run('cluster', 'status', seconds=STATUS_SECONDS_MAX)[0]
    same(list(status), ['cluster_id', 'controller', 'controller_epoch', 'nodes'], 'members')
    same(status['controller'], 1, 'controller')
    same(status['controller_epoch'] >= 1, True, 'the term of the quorum')
    rows = status['nodes']
    same([row['role'] for row in rows], sorted(row['role'] for row in rows), 'brokers come first')
    found = [row for row in rows if row['role'] == 'processor']
    for row in found:
        same(row, {'node': None, 'role': 'processor', 'host': row['host'], 'state': row['state'],
                   'epoch': None}, 'a processor')
    return rows[:len(rows) - len(found)], {row['host']: row['state'] for row in found}


def wait_processors(wanted):
    """Who dies is listed until its session ends, and never makes the answer fail."""
    deadline = time.monotonic() + 60
    while (states := sorted(nodes()[1].values())) != wanted:
        need(time.monotonic() < deadline, f'processors {states} instead of {wanted}')


def cluster(dev, bootstrap):
    broker = [{'node': 1, 'role': 'broker', 'host': bootstrap, 'state': 'up', 'epoch': None}]
    brokers, processors = nodes()
    same(brokers, broker, 'brokers')
    same(list(processors.values()), ['up', 'up'], 'processors')
    for host in processors:
        name, port = host.rsplit(':', 1)
        socket.create_connection((name, int(port)), timeout=10).close()
    table = subprocess.run([MILLRACE, 'cluster', 'status', '-o', 'table'], text=True, timeout=60,
                           capture_output=True, check=True).stdout.splitlines()
    same([line.split() for line in table[2:]],
         [['NODE', 'ROLE', 'HOST', 'STATE', 'EPOCH'], ['1', 'broker', bootstrap, 'up', '-'],
          *(['-', 'processor', host, 'up', '-'] for host in processors)], 'table')
    states = []
    for _ in range(10):  # On a busy machine the session of 2 seconds may end before the look.
        os.kill(dev.pid('processor-1'), signal.SIGSTOP)
        states = sorted(nodes()[1].values())
        os.kill(dev.pid('processor-1'), signal.SIGCONT)
        if states == ['unreachable', 'up']:
            break
        wait_processors(['up', 'up'])
    same(states, ['unreachable', 'up'], 'one of two is silent')
    dev.node('kill', 'processor-1')
    wait_processors(['up'])
    dev.node('kill', 'processor-2')
    same(nodes()[0], broker, 'brokers without processors')
    wait_processors([])
    dev.node('start', 'processor-2')
    dev.node('start', 'processor-1')
    wait_processors(['up', 'up'])


def no_processors(directory):
    """Nobody has used a group here, and a look must not make the topic of groups."""
    with Dev(directory, '--brokers', 1, '--processors', 0, '--port', 0) as dev:
        os.environ['MILLRACE_BOOTSTRAP'] = dev.wait_ready()
        same(nodes()[1], {}, 'processors')
        same(run('topic', 'list'), [[]], 'topics after a look at the cluster')
        same(dev.terminate(), 0, 'exit of dev')


def wrong_words(directory, bootstrap):
    """What was typed wrong is status 2; what cannot begin says which word stands in its way."""
    same(fail('topic', 'list', '--bootstrap', 'nowhere', code=2), 'INVALID_ARGUMENT', 'no address')
    same(fail('consume', 'a', '--partition', 9), 'UNKNOWN_TOPIC_OR_PARTITION', 'no partition')
    marked = directory / 'marked.sql'
    marked.write_text('\ufeffDROP TABLE IF EXISTS nothing;')
    run('sql', marked)
    folder = pathlib.Path(MILLRACE).parent
    for program, settings, wanted in (
            ('broker', [f'listeners={bootstrap}', f'log.dir={directory}/none'], 'error START'),
            ('processor', [f'listeners={bootstrap}'], 'error START'),
            ('processor', ['parser.path=/nowhere'], 'error NO_PROGRAM')):
        words = [word for setting in settings for word in ('--set', setting)]
        done = subprocess.run([folder / f'millrace-{program}', *words], text=True, timeout=60,
                              capture_output=True, check=False)
        said = done.stderr.splitlines()[-1]
        same((done.returncode, said.startswith(wanted)), (1, True), said)
        need(wanted != 'error START' or 'another process listens there' in said, said)


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix='millrace-'))
    try:
        no_processors(directory / 'none')
        with Dev(directory / 'one', '--brokers', 1, '--port', 0) as dev:
            bootstrap = dev.wait_ready()
            os.environ['MILLRACE_BOOTSTRAP'] = bootstrap
            cluster(dev, bootstrap)
            topics()
            records()
            follow()
            groups()
            failures()
            wrong_words(directory, bootstrap)
            interrupted_member()
            large_lines()
            quiet_pipe()
            closed_streams()
            before = read('a')
            same(dev.terminate(), 0, 'exit of dev')
        same(fail('topic', 'list'), 'UNREACHABLE', 'without a cluster')
        with Dev(directory / 'one') as dev:
            dev.wait_ready()
            same(read('a'), before, 'the data of the first run')
            same(dev.terminate(), 0, 'exit of dev')
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    main()
