"""Goal: what a broker acknowledged is there after it died, once, in order.
Method: an idempotent librdkafka producer writes numbered records while the broker is killed 50 times
with SIGKILL and started again; then everything is read back and held against the acknowledgements."""
import os
import random
import sys

from broker_process import Broker
from numbered import Writer, check, create, read_all

KILLS = int(os.environ.get('MILLRACE_KILLS', '50'))
SEED = int(os.environ.get('MILLRACE_SEED', '1'))
RECORDS_BETWEEN_KILLS = 200


def main():
    chance = random.Random(SEED)
    with Broker() as broker:
        create(broker.bootstrap, 1)
        writer = Writer(broker.bootstrap)
        writer.start()
        for _ in range(KILLS):
            writer.wait_for_more(chance.randrange(1, RECORDS_BETWEEN_KILLS))
            broker.kill()
            broker.start()
        writer.wait_for_more(1)
        writer.end()
        check(writer.acknowledged, read_all(broker.bootstrap))
        print(f'seed {SEED}: {KILLS} kills, {writer.total()} acknowledged, all there')


if __name__ == '__main__':
    sys.exit(main())
