"""Goal: a power cut of the whole cluster loses nothing that was acknowledged, and nobody is needed to
bring it back.
Method: an idempotent producer writes to three brokers; again and again all three are killed with
SIGKILL at once and started again in any order, one of them late; then everything is read back."""
import os
import random
import sys
import threading

from broker_process import Cluster
from numbered import Writer, check, create, read_all

ROUNDS = int(os.environ.get('MILLRACE_ROUNDS', '5'))
SEED = int(os.environ.get('MILLRACE_SEED', '1'))


def main():
    chance = random.Random(SEED)
    with Cluster(3) as cluster:
        create(cluster.bootstrap, 3)
        writer = Writer(cluster.bootstrap)
        writer.start()
        for _ in range(ROUNDS):
            writer.wait_for_more(chance.randrange(50, 500))
            brokers = list(cluster.brokers.values())
            chance.shuffle(brokers)
            for broker in brokers:
                broker.process.kill()
            for broker in brokers:
                broker.process.wait()
            starts = [threading.Thread(target=broker.start) for broker in brokers[:2]]
            for start in starts:
                start.start()
            for start in starts:
                start.join()
            brokers[2].start()
        writer.wait_for_more(1)
        writer.end()
        check(writer.acknowledged, read_all(cluster.bootstrap))
        print(f'seed {SEED}: {ROUNDS} power cuts, {writer.total()} acknowledged, all there')


if __name__ == '__main__':
    sys.exit(main())
