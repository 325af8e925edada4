"""Goal: brokers stopped in order, one after the other, hand over first: a client hardly notices.
Method: an idempotent producer writes while each of three brokers is stopped with SIGTERM and started
again; the longest silence of any partition is measured; a broker alone stops at once."""
import sys
import time

from broker_process import Broker, Cluster, need
from failover import wait_for_full_isr
from numbered import PARTITIONS, Writer, check, create, read_all

SILENCE_SECONDS_MAX = 10


def main():
    with Broker() as alone:
        create(alone.bootstrap, 1)
        began = time.monotonic()
        alone.stop()
        print(f'alone: stopped in {time.monotonic() - began:.2f} s')
    with Cluster(3) as cluster:
        create(cluster.bootstrap, 3)
        wait_for_full_isr(cluster)
        writer = Writer(cluster.bootstrap)
        writer.start()
        gaps = []
        for broker in cluster.brokers.values():
            writer.wait_for_more(200)
            began = time.monotonic()
            broker.stop()
            stopped_at = time.monotonic()
            gaps += [writer.wait_for_partition(p, stopped_at) - stopped_at
                     for p in range(PARTITIONS)]
            print(f'stopped in {stopped_at - began:.2f} s')
            broker.start()
            wait_for_full_isr(cluster)
        writer.end()
        check(writer.acknowledged, read_all(cluster.bootstrap))
        print(f'{writer.total()} acknowledged, all there; longest silence {max(gaps):.2f} s')
        need(max(gaps) < SILENCE_SECONDS_MAX, 'a stop in order silenced a partition')


if __name__ == '__main__':
    sys.exit(main())
