"""Goal: the death of a group's coordinator loses no commit and stops the group for a moment only.
Method: three brokers, two members of one group read and commit; again and again the broker that
leads the group's partition of __consumer_offsets is killed with SIGKILL and started again; commits
go on, what was acknowledged stays, a third member joins, and all is read."""
import os
import sys
import time

from broker_process import Cluster, need
from group_member import (PARTITIONS, AdminClient, Member, check_committed, make_topic, produce,
                          shared_out, wait_for)

KILLS = int(os.environ.get('MILLRACE_KILLS', '5'))
TOPIC, GROUP = 'numbers', 'counters'
ROUND = 300


def java_hash(text):
    value = 0
    for letter in text:
        value = (value * 31 + ord(letter)) & 0xffffffff
    return abs(value - (1 << 32) if value & 0x80000000 else value)


def coordinator_of(cluster, admin):
    """The leader of the partition that Kafka's rule names."""
    topic = admin.list_topics('__consumer_offsets', timeout=30).topics['__consumer_offsets']
    need(len(topic.partitions) == 50, f'{len(topic.partitions)} partitions')
    partition = topic.partitions[java_hash(GROUP) % 50]
    need(len(partition.replicas) == 3, f'{partition.replicas}')
    return cluster.brokers[partition.leader]


def in_sync(admin):
    topics = admin.list_topics(timeout=30).topics
    return all(len(partition.isrs) == 3 for name in (TOPIC, '__consumer_offsets')
               for partition in topics[name].partitions.values())


def main():
    gaps = []
    with Cluster(3) as cluster:
        admin = make_topic(cluster, TOPIC, 3)
        settings = {'reconnect_backoff_max_ms': 500}
        members = [Member(cluster, TOPIC, GROUP, **settings) for _ in range(2)]
        wait_for('two members share', lambda: shared_out(members))
        watcher = AdminClient({'bootstrap.servers': cluster.bootstrap, 'log_level': 0,
                               'reconnect.backoff.max.ms': 500})
        written = 0
        for kill in range(KILLS):
            produce(cluster, TOPIC, ROUND, written)
            written += ROUND
            wait_for('all is read', lambda: {value for member in members
                                             for value in member.values} == set(range(written)))
            check_committed(cluster, TOPIC, GROUP, written // PARTITIONS)
            victim = coordinator_of(cluster, watcher)
            victim.kill()
            killed_at = time.monotonic()
            check_committed(cluster, TOPIC, GROUP, written // PARTITIONS)
            gaps.append(time.monotonic() - killed_at)
            if kill == KILLS // 2:
                members.append(Member(cluster, TOPIC, GROUP, **settings))
            wait_for('the members share again', lambda: shared_out(members))
            victim.start()
            wait_for('all in sync again', lambda: in_sync(watcher))
        for member in members:
            member.stop()
        read = [value for member in members for value in member.values]
        need(set(read) == set(range(written)), 'not all was read')
        check_committed(cluster, TOPIC, GROUP, written // PARTITIONS)
        print(f'{KILLS} coordinators killed: no commit lost, {len(read) - written} read twice; '
              f'commits readable again after {max(gaps):.2f} s at most')


if __name__ == '__main__':
    sys.exit(main())
