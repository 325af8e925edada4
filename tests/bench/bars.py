"""The broker's bars: CPU per GB, latency, durable requests per second, commits, idle memory.

  bars.py BUILD [SECONDS]      BUILD holds release programs; SECONDS of load per figure (5)

The load comes from a driver for any Kafka broker; MILLRACE_PEER names the folder with its source
(drive/) and with `up` and `down`, which start Apache Kafka. With MILLRACE_PEER_KAFKA=1 the durable
figure is taken of Kafka, too, in the same run, and printed as a ratio. Without the folder: skipped.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time


def skip(why):
    print(f'skipped: {why}')
    sys.exit(77)


class Bars:
    def __init__(self, build, seconds):
        self.build = pathlib.Path(build)
        self.seconds = seconds
        peer = os.environ.get('MILLRACE_PEER')
        if not peer or not (pathlib.Path(peer) / 'drive').is_dir():
            skip('MILLRACE_PEER names no folder with a load driver')
        self.peer = pathlib.Path(peer)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix='millrace-bars-'))
        subprocess.run(['make', '-C', self.peer / 'drive', f'B={self.work}'], check=True,
                       stdout=subprocess.DEVNULL)

    def drive(self, bootstrap, pids, workload, **options):
        command = [self.work / 'drive', workload, '--bootstrap', bootstrap]
        for key, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                command += [f'--{key}', str(one)]
        if workload != 'topic':
            command += ['--pids', ','.join(map(str, pids))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise SystemExit(f'{command} failed:\n{done.stdout}{done.stderr}')
        return json.loads(done.stdout.splitlines()[-1])

    def cluster(self, brokers):
        return Cluster(self, brokers)


class Cluster:
    """A local cluster without processors, started for one figure or a few."""

    def __init__(self, bars, brokers):
        self.directory = bars.work / f'cluster-{brokers}-{time.monotonic_ns()}'
        self.log = open(f'{self.directory}.log', 'w')
        self.process = subprocess.Popen(
            [bars.build / 'millrace', 'dev', '--brokers', str(brokers), '--processors', '0', '--port', '0',
             '--dir', self.directory, '--set', 'broker.journal.bytes=268435456'],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.bootstrap = self.process.stdout.readline().strip().removeprefix('ready bootstrap=')
        self.pids = [int((self.directory / f'broker-{n}' / 'pid').read_text()) for n in range(1, brokers + 1)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def resident_mib(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) / 1024
    return 0


def say(name, value, unit, bar, is_met):
    print(f'{name:44} {value:10.2f} {unit:14} bar {bar:24} {"met" if is_met else "MISSED"}', flush=True)


def one_broker(bars):
    with bars.cluster(1) as cluster:
        idle = resident_mib(cluster.pids[0])
        say('idle broker', idle, 'MiB', '<= 64', idle <= 64)
        bars.drive(cluster.bootstrap, cluster.pids, 'topic', topic='p1', partitions=1, rf=1)
        told = bars.drive(cluster.bootstrap, cluster.pids, 'produce', topic='p1', partitions=1, warm=1,
                          seconds=bars.seconds, client=['batch.size=1048576', 'linger.ms=5'])
        cost = told['broker_cpu_s_per_gb']
        say('produce 1 KiB, RF 1, acks=all', cost, 'CPU-s per GB', '<= 0.6', cost <= 0.6)
        bars.drive(cluster.bootstrap, cluster.pids, 'topic', topic='d100', partitions=100, rf=1)
        told = bars.drive(cluster.bootstrap, cluster.pids, 'connections', topic='d100', partitions=100,
                          connections=32, size=100, warm=1, seconds=bars.seconds)
        ours = told['requests_s']
        print(f'  durable 100 B, 32 connections, 100 partitions: {ours:.0f} requests/s, p50 {told["p50_ms"]:.2f} ms')
    if os.environ.get('MILLRACE_PEER_KAFKA') == '1':
        theirs = kafka_durable(bars)
        say('  the same, to Kafka with flush.messages=1', ours / theirs, 'times', '>= 5', ours >= 5 * theirs)


def kafka_durable(bars):
    directory = bars.work / 'kafka'
    up = subprocess.run([bars.peer / 'up', '--dir', directory, '--brokers', '1', '--port', '29092'],
                        capture_output=True, text=True, timeout=300)
    lines = up.stdout.splitlines()
    bootstrap = next(line.removeprefix('ready bootstrap=') for line in lines if line.startswith('ready'))
    pids = [int(line.split()[1]) for line in lines if line.startswith('pid ')]
    try:
        bars.drive(bootstrap, pids, 'topic', topic='d100', partitions=100, rf=1, config='flush.messages=1')
        # A JVM wants a minute and a half before its figures are its own.
        told = bars.drive(bootstrap, pids, 'connections', topic='d100', partitions=100, connections=32, size=100,
                          warm=90, seconds=bars.seconds)
        print(f'  Kafka: {told["requests_s"]:.0f} requests/s, p50 {told["p50_ms"]:.2f} ms')
        return told['requests_s']
    finally:
        subprocess.run([bars.peer / 'down', directory, '--wipe'], check=False)


def three_brokers(bars):
    with bars.cluster(3) as cluster:
        bars.drive(cluster.bootstrap, cluster.pids, 'topic', topic='l', partitions=1, rf=3)
        told = bars.drive(cluster.bootstrap, cluster.pids, 'latency', topic='l', partitions=1, rate=1000, warm=2,
                          seconds=bars.seconds, client='linger.ms=0')
        p50 = told['p50_ms']
        say('produce -> consume at 1,000/s, RF 3', p50, 'ms (p50)', '<= 1.5', p50 <= 1.5)
        print(f'  {json.dumps(told)}')
        bars.drive(cluster.bootstrap, cluster.pids, 'topic', topic='t8', partitions=8, rf=3)
        told = bars.drive(cluster.bootstrap, cluster.pids, 'transactions', topic='t8', partitions=8, records=8,
                          warm=1, seconds=bars.seconds)
        print(f'  transactions over 8 partitions, RF 3: {json.dumps(told)}')


def main(words):
    if not words:
        print(__doc__, file=sys.stderr)
        return 2
    bars = Bars(words[0], int(words[1]) if len(words) > 1 else 5)
    try:
        one_broker(bars)
        three_brokers(bars)
    finally:
        shutil.rmtree(bars.work, ignore_errors=True)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
