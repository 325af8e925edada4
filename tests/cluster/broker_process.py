"""One real broker process for a test: started, killed, stopped, started again on its data."""
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from claims import need

BUILD = pathlib.Path(os.environ.get('MILLRACE_BUILD', 'build'))
READY_SECONDS = 60
given_ports = set()


def skip(why):
    """Ends the test program as skipped, with the reason."""
    print(f'skipped: {why}')
    sys.exit(77)


def free_port():
    """A port that was free a moment ago; the broker keeps it over restarts. Below those that the system
    gives to outgoing connections, one of which could have it while the broker is dead; none twice."""
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        if port not in given_ports:
            given_ports.add(port)
            return port


class Broker:
    """A broker in a directory of its own, alone in its cluster unless settings say otherwise."""

    def __init__(self, directory=None, **settings):
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix='millrace-'))
        self.port = free_port()
        self.settings = {'listeners': f'127.0.0.1:{self.port}',
                         'log.dir': self.directory / 'data',
                         'shards': os.environ.get('MILLRACE_SHARDS', '2'),
                         'auto.create.topics.enable': 'true', 'journal.bytes': str(16 << 20)}
        self.settings.update({key.replace('_', '.'): str(value) for key, value in settings.items()})
        self.process = None
        self.trace = None

    @property
    def bootstrap(self):
        return f'127.0.0.1:{self.port}'

    def start(self):
        command = [str(BUILD / 'millrace-broker')]
        for key, value in self.settings.items():
            command += ['--set', f'{key}={value}']
        self.directory.mkdir(parents=True, exist_ok=True)
        self.close()
        self.trace = open(self.directory / 'trace.log', 'ab')
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.trace)
        self.wait_ready()
        return self

    def wait_ready(self):
        """Until the line `ready port=N`; the process may die instead."""
        deadline = time.monotonic() + READY_SECONDS
        text = b''
        while b'\n' not in text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError(f'not ready in {READY_SECONDS} s\n{self.tail()}')
            chunk = os.read(self.process.stdout.fileno(), 4096)
            if not chunk:
                raise AssertionError(f'ended with {self.process.wait()} at its start\n{self.tail()}')
            text += chunk
        need(re.match(rb'ready port=\d+', text), f'unexpected first line {text!r}')

    def close(self):
        """Gives back what is open of an earlier life."""
        if self.trace:
            self.trace.close()
            self.process.stdout.close()

    def kill(self):
        """As a crash: nothing is flushed, nothing is said."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """In order; the exit status must be 0."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        need(code == 0, f'stopped with {code}\n{self.tail()}')

    def tail(self):
        try:
            return (self.directory / 'trace.log').read_text(errors='replace')[-4000:]
        except FileNotFoundError:
            return ''

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *rest):
        if self.process and self.process.poll() is None:
            self.kill()
        if kind is None:
            self.close()
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            print(f'kept {self.directory}\n{self.tail()}', file=sys.stderr)


class Cluster:
    """Brokers in directories of their own; the first `voters` of them (all, if not said) vote."""

    def __init__(self, count=3, voters=None, **settings):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='millrace-'))
        self.brokers = {number: Broker(self.directory / f'broker-{number}', node_id=number,
                                       **settings) for number in range(1, count + 1)}
        named = ','.join(f'{number}@{broker.bootstrap}'
                         for number, broker in self.brokers.items() if number <= (voters or count))
        for broker in self.brokers.values():
            broker.settings['controller.quorum.voters'] = named

    @property
    def bootstrap(self):
        return ','.join(broker.bootstrap for broker in self.brokers.values())

    def __enter__(self):
        starts = [threading.Thread(target=broker.start) for broker in self.brokers.values()]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        for broker in self.brokers.values():
            need(broker.process and broker.process.poll() is None, f'not all started\n{broker.tail()}')
        return self

    def __exit__(self, kind, *rest):
        for broker in self.brokers.values():
            if broker.process and broker.process.poll() is None:
                broker.kill()
        if kind is None:
            shutil.rmtree(self.directory, ignore_errors=True)
            return
        print(f'kept {self.directory}', file=sys.stderr)
        for number, broker in self.brokers.items():
            print(f'--- broker {number}\n{broker.tail()}', file=sys.stderr)
