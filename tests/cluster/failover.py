"""Goal: the death of one broker of three loses nothing, repeats nothing, keeps the order, and stops a
partition for a moment only.
Method: an idempotent librdkafka producer with default settings writes to four partitions of three
replicas; 20 times the leader of a partition is killed with SIGKILL and 5 times a follower (one of them
is the active controller, now and then), the gap to the next acknowledgement of that partition is
measured, and the broker is started again and must rejoin the ISRs."""
import os
import random
import statistics
import sys
import time

from broker_process import Cluster
from claims import need, wait_for
from numbered import PARTITIONS, TOPIC, AdminClient, Writer, check, create, read_all

KILLS = int(os.environ.get('MILLRACE_KILLS', '25'))
SEED = int(os.environ.get('MILLRACE_SEED', '1'))
REJOIN_SECONDS = 30


def partitions_of(admin):
    return admin.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions


def wait_for_full_isr(cluster):
    """Every replica is in sync again, as every client can see."""
    admin = AdminClient({'bootstrap.servers': cluster.bootstrap, 'log_level': 0})

    def claim():
        states = partitions_of(admin).values()
        return all(len(state.isrs) == len(cluster.brokers) for state in states) or [
            (state.id, state.leader, state.isrs) for state in states]
    wait_for('all in sync', claim, REJOIN_SECONDS)


def kill_and_measure(cluster, writer, victim, partition):
    """Seconds from the death of a broker to the next acknowledgement of a partition."""
    victim.kill()
    killed_at = time.monotonic()
    gap = writer.wait_for_partition(partition, killed_at) - killed_at
    victim.start()
    wait_for_full_isr(cluster)
    return gap


def main():
    chance = random.Random(SEED)
    gaps = {'leader': [], 'follower': []}
    with Cluster(3) as cluster:
        create(cluster.bootstrap, 3)
        wait_for_full_isr(cluster)
        writer = Writer(cluster.bootstrap)
        writer.start()
        admin = AdminClient({'bootstrap.servers': cluster.bootstrap, 'log_level': 0})
        for kill in range(KILLS):
            writer.wait_for_more(chance.randrange(50, 200))
            partition = chance.randrange(PARTITIONS)
            leader = partitions_of(admin)[partition].leader
            role = 'follower' if kill % 5 == 4 else 'leader'
            number = leader if role == 'leader' else chance.choice(
                [number for number in cluster.brokers if number != leader])
            gaps[role].append(kill_and_measure(cluster, writer, cluster.brokers[number], partition))
        writer.end()
        check(writer.acknowledged, read_all(cluster.bootstrap))
        for role, seconds in gaps.items():
            if seconds:
                print(f'{role}: {len(seconds)} killed, gap p50 {statistics.median(seconds):.2f} s, '
                      f'max {max(seconds):.2f} s')
        print(f'seed {SEED}: {writer.total()} acknowledged, all there')
        need(max(gaps['leader']) < 60, 'a partition stood still for a minute')


if __name__ == '__main__':
    sys.exit(main())
