"""Goal: brokers that do not vote are brokers like any other: they follow the metadata, lead, follow,
take admin requests, die and come back.
Method: two brokers with one voter, five with three; a broker without a vote is killed under an
idempotent producer and started again, and creates a topic."""
import sys

from broker_process import Cluster
from numbered import AdminClient, NewTopic, Writer, check, create, read_all


def main():
    for count, voters in ((2, 1), (5, 3)):
        with Cluster(count, voters=voters) as cluster:
            create(cluster.bootstrap, min(count, 3))
            writer = Writer(cluster.bootstrap)
            writer.start()
            observer = cluster.brokers[count]
            writer.wait_for_more(500)
            observer.kill()
            writer.wait_for_more(500)
            observer.start()
            writer.wait_for_more(500)
            writer.end()
            check(writer.acknowledged, read_all(cluster.bootstrap))
            admin = AdminClient({'bootstrap.servers': observer.bootstrap, 'log_level': 0})
            for future in admin.create_topics([NewTopic('by-observer', 2, 2)]).values():
                future.result(30)
            for broker in reversed(cluster.brokers.values()):
                broker.stop()
            print(f'{count} brokers, {voters} voters: {writer.total()} acknowledged, all there')


if __name__ == '__main__':
    sys.exit(main())
