"""The whole way of a job on real processes: declared, run, moved, stopped, run again, failed."""
import base64
import collections
import concurrent.futures
import datetime
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from dev_process import BUILD, Dev
from job_rig import Rows, check_output, fail, need, progress, read_committed, run, sql_of, wait_for, wait_watermark

try:
    from kafka.admin import KafkaAdminClient
except ImportError:
    KafkaAdminClient = None

PARTITIONS = 4
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def states():
    return {row['job']: row['state'] for row in run('job', 'list')[0]}


def wait_state(job, state):
    wait_for(f'{job} is {state}', lambda: True if states().get(job) == state else states().get(job))


def fail_last(*words):
    """A call that does something and then fails; the code of its error."""
    return run(*words, code=1)[-1]['error']['code']


def test_life(dev):
    """Started, both processors work, one dies, stopped and started again: as if nothing had been."""
    rows = Rows(4000, PARTITIONS, 7)
    run('topic', 'create', 'life-in', '--partitions', PARTITIONS)
    out = run('sql', '-c', sql_of('life'))
    need([(row['kind'], row['name']) for row in out] ==
         [('table', 'life_in'), ('table', 'life_out'), ('set', 'job.name'), ('job', 'life')], f'it said {out}')
    wait_state('life', 'running')
    told = run('job', 'describe', 'life')[0]
    need(len({task['processor'] for task in told['tasks']}) == 2, f'not on both processors: {told["tasks"]}')
    run('produce', 'life-in', '--json', stdin=rows.lines(0, 1500))
    wait_for('rows are counted', lambda: progress('life')['totals']['input_rows'] > 0)
    dev.node('kill', 'processor-1')
    killed = time.monotonic()
    run('produce', 'life-in', '--json', stdin=rows.lines(1500, 2500))
    wait_for('rows behind the kill are counted',
             lambda: True if progress('life')['totals']['input_rows'] >= 2500 else progress('life')['totals'])
    print(f'tasks of the dead processor went on after {time.monotonic() - killed:.1f} s')
    run('job', 'stop', 'life')
    need(states()['life'] == 'stopped', f'after the stop it is {states()}')
    need(progress('life')['totals']['input_rows'] == 2500, f'stopped at {progress("life")}')
    dev.node('start', 'processor-1')
    again = sql_of('life')
    run('sql', '-c', again[again.index('SET'):])
    run('produce', 'life-in', '--json', stdin=rows.lines(2500))
    wait_watermark('life', rows)
    windows, late = check_output('life', rows)
    said = progress('life')
    need(said['totals']['input_rows'] == len(rows.rows), f'it counts {said["totals"]}')
    need(said['totals']['late_rows'] == late, f'{late} came late, it counts {said["totals"]}')
    for name in ('id', 'runId', 'name', 'timestamp', 'batchId', 'numInputRows', 'inputRowsPerSecond',
                 'processedRowsPerSecond', 'durationMs', 'eventTime', 'stateOperators', 'sources', 'sink'):
        need(name in said, f'progress lacks {name}')
    need(windows > 0 and late > 0, f'{windows} windows, {late} late: nothing was tried')
    print(f'{windows} windows, {late} late')
    run('job', 'stop', 'life')


def committed(admin, group, topic):
    """The offset of each partition as a foreign tool sees it."""
    found = admin.list_consumer_group_offsets(group)
    need(all(part.topic == topic for part in found), f'the group names other topics: {found}')
    return {part.partition: entry.offset for part, entry in found.items()}


def described(group):
    """The same as our own command sees it, and the lag."""
    rows = run('group', 'describe', group)[0]
    return {row['partition']: (row['committed'], row['lag']) for row in rows}


def test_lag():
    """Lag tools see the job as a group that has read to the end; the group goes with the job."""
    if KafkaAdminClient is None:
        print('lag: skipped, python3-kafka is not installed')
        return
    rows = Rows(400, PARTITIONS, 13)
    admin = KafkaAdminClient(bootstrap_servers=os.environ['MILLRACE_BOOTSTRAP'].split(','))
    run('topic', 'create', 'lag-in', '--partitions', PARTITIONS)
    run('sql', '-c', sql_of('lag'))
    run('produce', 'lag-in', '--json', stdin=rows.lines(0, 202))
    wanted = {part: len(rows.rows[:202][part::PARTITIONS]) for part in range(PARTITIONS)}

    def has_come():
        found = committed(admin, 'millrace-lag', 'lag-in')
        return True if found == wanted else found
    wait_for(f'the group of the running job is at {wanted}', has_come)
    told = described('millrace-lag')
    need(told == {part: (end, 0) for part, end in wanted.items()}, f'group describe says {told}')
    state = admin.describe_consumer_groups(['millrace-lag'])[0]
    need((state.state, state.members) == ('Empty', []), f'the group is no empty one: {state}')
    run('produce', 'lag-in', '--json', stdin=rows.lines(202))
    wait_for('all rows are counted', lambda: progress('lag')['totals']['input_rows'] == len(rows.rows))
    run('job', 'stop', 'lag')
    wanted = {part: len(rows.rows[part::PARTITIONS]) for part in range(PARTITIONS)}
    found = committed(admin, 'millrace-lag', 'lag-in')
    need(found == wanted, f'the group of the stopped job is at {found}, not {wanted}')
    run('sql', '-c', "CALL drop_job('lag')")
    need(committed(admin, 'millrace-lag', 'lag-in') == {}, 'the group of a dropped job is still there')
    admin.close()


def test_errors():
    need(fail('sql', '-c', 'SELEC 1') == 'SYNTAX', 'a misspelt word is no syntax error')
    need(fail('sql', '-c', "INSERT INTO nowhere SELECT a FROM nothing") == 'UNKNOWN_TABLE', 'unknown table')
    need(fail('job', 'describe', 'nobody') == 'UNKNOWN_JOB', 'a job that is not there')
    need(fail('job', 'stop', 'nobody') == 'UNKNOWN_JOB', 'a stop of nothing')
    run('sql', '-c', sql_of('twice'))
    text = sql_of('twice')
    need(fail('sql', '-c', text) == 'TABLE_EXISTS', 'a table of the same name')
    answers = run('sql', '-c', text[text.index('SET'):], code=1)
    need(answers[-1]['error']['code'] == 'JOB_EXISTS', f'a job of the same name: {answers}')
    need(fail('sql', '-c', 'DROP TABLE twice_in') == 'TABLE_IN_USE', 'a table in use')
    run('sql', '-c', "CALL stop_job('twice'); CALL drop_job('twice'); DROP TABLE twice_in; DROP TABLE twice_out")
    need('twice' not in states(), 'a dropped job is still there')


def test_anew():
    """An input topic that was deleted and created again is not the one whose offsets the job has."""
    tables = '''
CREATE TABLE anew_in (a int) WITH (topic = 'anew-in', format = 'json');
CREATE TABLE anew_out (a int) WITH (topic = 'anew-out', format = 'json');'''
    insert = "SET job.name = 'anew'; INSERT INTO anew_out SELECT a FROM anew_in"
    run('sql', '-c', tables + insert)
    need(fail_last('sql', '-c', "SET job.name = 'anew'; INSERT INTO anew_out SELECT a + 1 FROM anew_in") ==
         'JOB_EXISTS', 'another statement under the name of a job that runs')
    run('produce', 'anew-in', stdin='{"a":1}\n{"a":2}\n')
    wait_for('two rows', lambda: progress('anew')['totals']['output_rows'] == 2)
    run('job', 'stop', 'anew')
    run('topic', 'delete', 'anew-in')
    run('topic', 'create', 'anew-in')
    run('produce', 'anew-in', stdin='{"a":3}\n{"a":4}\n{"a":5}\n')
    need(fail_last('sql', '-c', insert) == 'TOPIC_REPLACED', 'a job goes on in another topic')
    run('sql', '-c', "CALL drop_job('anew');" + insert)
    wait_for('three rows', lambda: progress('anew')['totals']['output_rows'] == 3)
    rows = [json.loads(record['value'])['a'] for record in read_committed('anew-out', 5)]
    need(rows == [1, 2, 3, 4, 5], f'rows of both topics: {rows}')
    run('topic', 'delete', 'anew-in')
    run('topic', 'create', 'anew-in')
    run('produce', 'anew-in', stdin='{"a":6}\n' * 9)
    wait_state('anew', 'failed')
    fault = run('job', 'describe', 'anew')[0]
    need('INPUT_LOST' in json.dumps(fault), f'a job whose topic was replaced: {fault}')
    need(len(read_committed('anew-out', 5)) == 5, 'rows of a topic that the job has not begun')


def fields(message):
    """What stands in a protobuf message: the number of each field, and where its value begins."""
    def number(at):
        value = shift = 0
        while True:
            value |= (message[at] & 0x7f) << shift
            shift += 7
            at += 1
            if message[at - 1] < 0x80:
                return value, at
    at = 0
    while at < len(message):
        key, at = number(at)
        size, begin = number(at)
        yield key >> 3, at if key & 7 == 0 else begin
        at = begin + (size if key & 7 == 2 else 0)


def set_wish(job, old, new):
    """Changes the wish in the job's newest record of the catalog, as a drop does that dies behind that."""
    record = [record for record in run('consume', '__millrace_catalog', '--from', 'earliest', '--until-end')
              if record['key'] == f'job/{job}'][-1]
    value = bytearray(base64.b64decode(record['value']['base64']))
    begin = dict(fields(value))[3]
    wish = begin + dict(fields(value[begin:]))[2]
    need(value[wish] == old, f'the wish of {job} is {value[wish]}')
    value[wish] = new
    changed = {'key': record['key'], 'value': {'base64': base64.b64encode(value).decode()}}
    run('produce', '__millrace_catalog', '--json', stdin=json.dumps(changed) + '\n')


def topics_of(job):
    return sorted(row['name'] for row in run('topic', 'list')[0] if row['name'].startswith(f'__millrace-{job}-'))


def wait_topics(job, wanted):
    """A broker may be a moment behind with what it tells."""
    wait_for(f'the topics of {job} are {wanted}', lambda: True if topics_of(job) == wanted else topics_of(job))


def test_drop():
    """A drop that died half way refuses a start and is finished by the next one; whoever is told that a job was
    started has it, however a drop comes between."""
    text = sql_of('drop')
    start = text[text.index('SET'):]
    run('sql', '-c', text)
    topics = [f'__millrace-drop-{what}' for what in ('changelog-1', 'progress', 'route-0')]
    wait_topics('drop', topics)
    run('job', 'stop', 'drop')
    set_wish('drop', 3, 4)
    answers = run('sql', '-c', start, code=1)
    need(answers[-1]['error']['code'] == 'JOB_DROPPING', f'a start of a job that is dropped: {answers}')
    told = [row for row in run('job', 'list')[0] if row['job'] == 'drop'][0]
    need(told['state'] == 'stopped' and 'being dropped' in told['fault'], f'it is listed as {told}')
    need(run('job', 'describe', 'drop')[0]['fault_code'] == 'JOB_DROPPING', 'describe does not say it')
    need(progress('drop')['name'] == 'drop', 'no progress of a job that is dropped')
    run('sql', '-c', "CALL stop_job('drop'); CALL drop_job('drop')")
    need('drop' not in states(), f'still there: {states()}')
    wait_topics('drop', [])

    def attempt(words):
        answers = [json.loads(line) for line in subprocess.run(
            [BUILD / 'millrace', 'sql', '-c', words, '-o', 'json'], capture_output=True, text=True,
            timeout=120).stdout.splitlines()]
        return answers[-1].get('error', {}).get('code', 'done')
    seen = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(6):
            if 'drop' not in states():
                run('sql', '-c', start)
            run('job', 'stop', 'drop')
            dropped, started = pool.map(attempt, ("CALL drop_job('drop')", start))
            seen[dropped, started] += 1
            need((dropped, started) in (('done', 'done'), ('JOB_RUNS', 'done'), ('done', 'JOB_DROPPING')),
                 f'the drop: {dropped}, the start: {started}')
            if started == 'done':
                wait_state('drop', 'running')
                wait_topics('drop', topics)
            else:
                need('drop' not in states(), f'still there: {states()}')
    print(f'drop and start at once: {dict(seen)}')
    run('sql', '-c', "CALL stop_job('drop')" if 'drop' in states() else "SET job.name = 'none'")


def test_doors():
    """Statements given to both processors at once: none is told that the other was busy with the catalog."""
    def declare(name):
        return run('sql', '-c', f"CREATE TABLE {name} (a int) WITH (topic = '{name}', format = 'json')")

    def declare_again(_):
        try:
            declare('door_same')
        except AssertionError as error:
            return 'TABLE_EXISTS' if 'TABLE_EXISTS' in str(error) else str(error)
        return 'declared'
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for count in range(4):
            names = [f'door_{count}_{index}' for index in range(8)]
            need([out[0]['name'] for out in pool.map(declare, names)] == names, 'another table was declared')
        told = sorted(pool.map(declare_again, range(8)))
    need(told == ['TABLE_EXISTS'] * 7 + ['declared'], f'of eight that declare one table: {told}')


def send_frame(address, body):
    """What comes back of one frame: bytes, or none when the connection was closed."""
    host, port = address.rsplit(':', 1)
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(struct.pack('>i', len(body)) + body)
        try:
            return link.recv(65536)
        except ConnectionResetError:
            return b''


def test_garbage():
    """Bytes that are no question close their connection and nothing else."""
    run('sql', '-c', sql_of('door'))
    wait_state('door', 'running')
    door = run('job', 'describe', 'door')[0]['tasks'][0]['processor']
    header = struct.pack('>hhih', 0x6020, 0, 7, -1) + b'\0'
    need(send_frame(door, struct.pack('>hhih', 18, 0, 7, -1))[4:8] == struct.pack('>i', 7), 'ApiVersions is not answered')
    need(send_frame(door, header + b'\xff' * 50) == b'', 'garbage was answered')
    need(send_frame(door, struct.pack('>hhih', 3, 0, 7, -1) + b'\0' * 4) == b'', 'a broker\'s question was answered')
    need(send_frame(door, b'\0') == b'', 'half a header was answered')
    need(send_frame(door, header) != b'', 'an empty question was not told to be none')
    with socket.create_connection(door.rsplit(':', 1), timeout=10) as link:
        link.sendall(struct.pack('>i', 1 << 30))
        need(link.recv(1) == b'', 'a frame of a gigabyte was waited for')
    need(states()['door'] == 'running', 'the canary is gone')
    run('job', 'stop', 'door')


def test_explain():
    text = sql_of('plan')
    run('sql', '-c', text[:text.index('SET')])
    insert = text[text.index('INSERT'):]
    plan = run('sql', '-c', f'EXPLAIN {insert}')[0]
    need(plan['kind'] == 'explain' and 'plan_in' in plan['text'], f'the plan is {plan}')
    need('plan' not in states(), 'EXPLAIN started a job')


def test_misfits():
    """One record that is none: the job stops and says where; or passes it over and counts it."""
    rows = Rows(200, PARTITIONS, 3)
    for name, extra in (('strict', ''), ('lax', ", on_misfit = 'skip'")):
        run('topic', 'create', f'{name}-in', '--partitions', PARTITIONS)
        run('sql', '-c', sql_of(name, extra))
        run('produce', f'{name}-in', '--json', stdin=rows.lines(0, 100))
        bad = json.dumps({'partition': 1, 'value': '{"at":"2001-01-01T00:00:00Z","key":"a","value":"many"}'})
        run('produce', f'{name}-in', '--json', stdin=bad + '\n')
        run('produce', f'{name}-in', '--json', stdin=rows.lines(100))
    wait_state('strict', 'failed')
    fault = run('job', 'describe', 'strict')[0]
    need('partition 1' in fault['fault'] and '25' in fault['fault'] and 'value' in fault['fault'],
         f'the fault does not say where: {fault["fault"]}')
    wait_for('the other goes on', lambda: progress('lax')['totals']['input_rows'] >= len(rows.rows))
    need(progress('lax')['totals']['misfit_rows'] == 1, f'it counts {progress("lax")["totals"]}')
    run('job', 'stop', 'lax')


def test_update_mode():
    """Every touched group once per epoch; the last row of each is the sum of all."""
    rows = Rows(400, PARTITIONS, 5)
    run('topic', 'create', 'upd-in', '--partitions', PARTITIONS)
    run('sql', '-c', '''
CREATE TABLE upd_in (at timestamptz, key text, value int) WITH (topic = 'upd-in', format = 'json');
CREATE TABLE upd_out (key text, n bigint, total bigint) WITH (topic = 'upd-out', format = 'json');
SET job.name = 'upd'; SET job.output_mode = 'update';
INSERT INTO upd_out SELECT key, count(*), sum(value) FROM upd_in WHERE value >= 0 GROUP BY key''')
    run('produce', 'upd-in', '--json', stdin=rows.lines())
    wanted = {}
    for row in rows.rows:
        if row['value'] >= 0:
            count, total = wanted.get(row['key'], (0, 0))
            wanted[row['key']] = count + 1, total + row['value']

    def claim():
        found = {}
        for record in run('consume', 'upd-out', '--from', 'earliest', '--until-end'):
            row = json.loads(record['value'])
            found[row['key']] = row['n'], row['total']
        return True if found == wanted else found
    wait_for(f'the sums {wanted}', claim)
    run('job', 'stop', 'upd')


def test_stateless():
    """Without an aggregation: filtered and reckoned row by row, each once, key kept, three times."""
    rows = Rows(300, PARTITIONS, 9)
    run('topic', 'create', 'flat-in', '--partitions', PARTITIONS)
    run('sql', '-c', '''
CREATE TABLE flat_in (at timestamptz, key text, value int) WITH (topic = 'flat-in', format = 'json');
CREATE TABLE flat_out (at timestamptz, half double precision, part int, position bigint, created timestamptz,
                       ingested timestamptz, processed timestamptz)
  WITH (topic = 'flat-out', format = 'json');
SET job.name = 'flat';
INSERT INTO flat_out SELECT at, value / 2.0, _partition, _offset, _created_at, _ingested_at, _processed_at
  FROM flat_in WHERE value % 2 = 0 AND key <> 'end' ''')
    run('produce', 'flat-in', '--json', stdin=rows.lines())
    wanted = {f'k{index}': row['value'] / 2 for index, row in enumerate(rows.rows)
              if row['value'] % 2 == 0 and row['key'] != 'end'}

    def claim():
        records = run('consume', 'flat-out', '--from', 'earliest', '--until-end')
        return True if len(records) == len(wanted) else len(records)
    wait_for(f'{len(wanted)} rows', claim)
    for record in run('consume', 'flat-out', '--from', 'earliest', '--until-end'):
        row = json.loads(record['value'])
        need(wanted.pop(record['key'], None) == row['half'], f'{record} is twice or wrong')
        created, ingested, processed = (datetime.datetime.fromisoformat(row[name])
                                        for name in ('created', 'ingested', 'processed'))
        need(created <= processed and ingested <= processed, f'times out of order: {row}')
    run('job', 'stop', 'flat')


def test_dataframe():
    """The example's query, built without SQL, gives the rows that the SQL of the quick start gives."""
    flights = (SOURCE / 'deploy/data/flights.ndjson').read_text().splitlines()[:2000]
    flights.sort(key=lambda line: json.loads(line)['scheduled_at'])  # So that none is late, however it runs.
    lines = [json.dumps({'partition': index % PARTITIONS, 'value': line}) for index, line in enumerate(flights)]
    text = (SOURCE / 'deploy/delays.sql').read_text()
    run('topic', 'create', 'flights', '--partitions', PARTITIONS)
    tables, insert = text[:text.index('INSERT')], text[text.index('INSERT'):]
    run('sql', '-c', tables)
    run('sql', '-c', tables[tables.index('CREATE TABLE delays'):].replace('delays', 'delays_sql'))
    run('sql', '-c', insert.replace('INTO delays', 'INTO delays_sql'))
    done = subprocess.run([BUILD / 'client/examples/hello-dataframe', os.environ['MILLRACE_BOOTSTRAP'].split(',')[0]],
                          capture_output=True, text=True, timeout=60)
    need((done.returncode, done.stdout) == (0, 'job delays\n'), f'the example said {done}')
    run('produce', 'flights', '--json', stdin='\n'.join(lines) + '\n')
    for job in ('delays', 'delays_sql'):
        wait_for(f'{job} reads all', lambda: progress(job)['totals']['input_rows'] == len(flights))
    rows = {}

    def claim():
        for topic in ('delays', 'delays_sql'):
            rows[topic] = sorted(record['value'] for record in run('consume', topic, '--from', 'earliest',
                                                                   '--until-end'))
        return True if rows['delays'] == rows['delays_sql'] and rows['delays'] else {t: len(r) for t, r in rows.items()}
    wait_for('equal rows of both', claim)
    print(f'{len(rows["delays"])} rows of each')
    for job in ('delays', 'delays_sql'):
        run('job', 'stop', job)


def begin_restart():
    """A job that is in the middle of its rows when everything stops."""
    rows = Rows(1600, PARTITIONS, 11)
    run('topic', 'create', 'again-in', '--partitions', PARTITIONS)
    run('sql', '-c', sql_of('again'))
    run('produce', 'again-in', '--json', stdin=rows.lines(0, 800))
    wait_for('rows are counted', lambda: progress('again')['totals']['input_rows'] > 0)
    return rows


def end_restart(rows):
    """It goes on by itself where it was."""
    run('produce', 'again-in', '--json', stdin=rows.lines(800))
    wait_watermark('again', rows)
    windows, late = check_output('again', rows)
    print(f'behind a restart of everything: {windows} windows, {late} late')
    run('job', 'stop', 'again')


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix='millrace-'))
    wanted = sys.argv[1:]
    rows = None
    with Dev(directory / 'dev', '--brokers', 3, '--processors', 2, '--port', 0) as dev:
        os.environ['MILLRACE_BOOTSTRAP'] = dev.wait_ready()
        tests = {'life': lambda: test_life(dev), 'lag': test_lag, 'errors': test_errors, 'anew': test_anew,
                 'drop': test_drop, 'doors': test_doors, 'garbage': test_garbage, 'explain': test_explain,
                 'misfits': test_misfits, 'update': test_update_mode,
                 'stateless': test_stateless, 'dataframe': test_dataframe}
        for name in wanted or tests:
            if name in tests:
                begin = time.monotonic()
                tests[name]()
                print(f'{name}: {time.monotonic() - begin:.1f} s', flush=True)
        if not wanted or 'restart' in wanted:
            rows = begin_restart()
        need(dev.terminate() == 0, f'the cluster did not stop in order: {dev.seen}')
    if rows:
        with Dev(directory / 'dev') as dev:
            os.environ['MILLRACE_BOOTSTRAP'] = dev.wait_ready()
            end_restart(rows)
            need(dev.terminate() == 0, f'the cluster did not stop in order: {dev.seen}')
    shutil.rmtree(directory)


if __name__ == '__main__':
    sys.exit(main())
