"""Goal: two processes never are one broker, not even when one has a copy of the other's data; and a
broker that was killed need not wait for its own session to end.
Method: a broker without a vote beside three with one. Its data are copied and a second process starts
on the copy while the first works: it gives up, has replicated nothing in the other's name, and the
first does not notice. When the first is killed, the copy is taken; and a broker that is killed again
and again is back in far less than a session. The same with a voter's data, but that a copy which
nobody's list names waits while the first is down, and gives up when it is back."""
import re
import shutil
import statistics
import sys
import threading
import time

from broker_process import Broker, Cluster
from claims import need
from numbered import Writer, check, create, read_all

KILLS = 5
SESSION_SECONDS = 3


def copy_of(broker, name):
    broker.stop()
    directory = broker.directory.with_name(name)
    shutil.copytree(broker.directory / 'data', directory / 'data')
    broker.start()
    copy = Broker(directory)
    copy.settings |= {key: value for key, value in broker.settings.items()
                      if key not in ('listeners', 'log.dir')}
    return copy


def registrations(broker):
    return (broker.directory / 'trace.log').read_text().count('info member registered')


def refused(copy):
    """It ends by itself, and says why and what to do."""
    try:
        copy.start()
    except AssertionError as error:
        need('ended with 1 ' in str(error), f'{error}')
    else:
        raise AssertionError('a second process became the same broker')
    explained(copy)


def explained(copy):
    said = [line for line in copy.tail().splitlines() if line.startswith('error ')]
    need(len(said) == 1 and said[0].startswith('error NODE_ID_TAKEN: ') and 'node.id' in said[0],
         f'{said}')


def voter():
    """Nobody speaks to the copy of a voter: its address is in no list."""
    with Cluster(3) as cluster:
        create(cluster.bootstrap, 3)
        first = cluster.brokers[1]
        copy = copy_of(first, 'copy')
        writer = Writer(cluster.bootstrap)
        writer.start()
        writer.wait_for_more(500)
        begun = time.monotonic()
        refused(copy)
        took = time.monotonic() - begun
        need(took < 5 * SESSION_SECONDS, f'the copy gave up after {took:.1f} s')
        need(first.process.poll() is None and 'refused' not in first.tail(), first.tail())
        writer.wait_for_more(500)
        times = []
        for _ in range(KILLS):
            first.kill()
            begun = time.monotonic()
            first.start()
            times.append(time.monotonic() - begun)
        need(statistics.median(times) < SESSION_SECONDS / 2, f'restarts took {times}')
        first.kill()
        (copy.directory / 'trace.log').unlink()
        again = threading.Thread(target=refused, args=(copy,))
        again.start()
        again.join(3 * SESSION_SECONDS)
        need(again.is_alive(), f'the copy ended while the first was down\n{copy.tail()}')
        first.start()
        again.join(10 * SESSION_SECONDS)
        need(copy.process.poll() == 1, f'the copy lives beside the first\n{copy.tail()}')
        explained(copy)
        writer.wait_for_more(500)
        writer.end()
        check(writer.acknowledged, read_all(cluster.bootstrap))
        print(f'a copy of a voter gave up after {took:.1f} s, {writer.total()} acknowledged '
              f'meanwhile; the voter was ready again after {statistics.median(times):.2f} s')


def main():
    voter()
    with Cluster(4, voters=3) as cluster:
        first = cluster.brokers[4]
        create(cluster.bootstrap, 3)
        copy = copy_of(first, 'copy')
        writer = Writer(cluster.bootstrap)
        writer.start()
        writer.wait_for_more(500)
        registered = registrations(first)
        refused(copy)
        need(registrations(first) == registered, 'the first one had to register again')
        need('refused' not in first.tail(), f'the first one was disturbed\n{first.tail()}')
        writer.wait_for_more(500)
        times = []
        for _ in range(KILLS):
            first.kill()
            begun = time.monotonic()
            first.start()
            times.append(time.monotonic() - begun)
        need(statistics.median(times) < SESSION_SECONDS / 2, f'restarts took {times}')
        writer.wait_for_more(500)
        writer.end()
        check(writer.acknowledged, read_all(cluster.bootstrap))
        first.kill()
        try:
            copy.start()
            recovered = re.findall('log recovered .* records=([0-9]+)', copy.tail())
            need(recovered == ['0', '0'], f'it wrote while it was refused: {recovered}')
        finally:
            if copy.process.poll() is None:
                copy.kill()
        print(f'a copy was refused, {writer.total()} acknowledged meanwhile; a killed broker was '
              f'ready again after {statistics.median(times):.2f} s, {max(times):.2f} at most')


if __name__ == '__main__':
    sys.exit(main())
