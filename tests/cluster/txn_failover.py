"""Goal: brokers that die in the middle of transactions leave none half visible, none lost, none
twice, and no last stable offset that stays behind.
Method: three brokers; two writers put transactions over all partitions of a topic, some of which they
abort, and a mover takes every record to another topic in transactions that hold its offsets, too.
Again and again a broker (each leads partitions and coordinates) or all of them are killed with SIGKILL
at a moment of chance and started again, or one stands still until others lead in its place.
At the end every transaction is there whole or not at all, as its writer was told, and what was moved is
what was written, once."""
import collections
import os
import random
import signal
import sys
import threading

from broker_process import Cluster
from claims import need, wait_for
from txn_client import (PARTITIONS, AdminClient, Consumer, KafkaException, Producer, TopicPartition,
                        make_topic, read_all)

KILLS = int(os.environ.get('MILLRACE_KILLS', '8'))
SEED = int(os.environ.get('MILLRACE_SEED', '1'))
SOURCE, TARGET = 'source', 'target'
RECORDS = 12
# What happens to brokers, in turn: one dies and comes back at once, or when the others have gone on
# without it; all die; one stands still for a while.
KINDS = ('at once', 'late', 'all', 'pause')
SECONDS = 120
QUIET = {'log_level': 0, 'reconnect.backoff.max.ms': 500}


class Doubt(Exception):
    """This producer is done for; what became of its transaction is not known."""


class Transactional:
    """A producer that is made again under its id when it is done for."""

    def __init__(self, cluster, name):
        self.config = {'bootstrap.servers': cluster.bootstrap, 'transactional.id': name,
                       'transaction.timeout.ms': 30000, 'linger.ms': 0, **QUIET}
        self.producer = None

    def ready(self):
        while self.producer is None:
            producer = Producer(self.config)
            try:
                self.again(producer.init_transactions, 20)
                self.producer = producer
            except (KafkaException, Doubt):
                continue
        return self.producer

    def again(self, call, *arguments):
        """Until it is through or surely not; a fatal error ends the producer."""
        while True:
            try:
                return call(*arguments)
            except KafkaException as error:
                if error.args[0].fatal():
                    self.producer = None
                    raise Doubt() from error
                if not error.args[0].retriable():
                    raise

    def run(self, write, must_abort=False):
        """True: committed; False: aborted; Doubt: who knows."""
        producer = self.ready()
        is_open = False
        try:
            self.again(producer.begin_transaction)
            is_open = True
            write(producer)
            if not must_abort:
                self.again(producer.commit_transaction, 20)
                return True
        except KafkaException as error:
            if not is_open or not error.args[0].txn_requires_abort():
                self.producer = None
                raise Doubt() from error
        try:
            self.again(producer.abort_transaction, 20)
        except KafkaException as error:
            self.producer = None
            raise Doubt() from error
        return False


class Writer(threading.Thread):
    def __init__(self, cluster, number):
        super().__init__(daemon=True)
        self.name_ = f'w{number}'
        self.transactional = Transactional(cluster, self.name_)
        self.told = {}  # transaction -> True, False or None (not known)
        self.must_stop = threading.Event()
        self.chance = random.Random(SEED * 10 + number)

    def run(self):
        turn = 0
        while not self.must_stop.is_set():
            turn += 1
            self.told[f'{self.name_}-{turn}'] = self.one(turn)

    def one(self, turn):
        def write(producer):
            for index in range(RECORDS):
                producer.produce(SOURCE, value=f'{self.name_}-{turn}-{index}',
                                 partition=index % PARTITIONS)
        try:
            return self.transactional.run(write, must_abort=self.chance.random() < 0.2)
        except Doubt:
            return None


class Mover(threading.Thread):
    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.transactional = Transactional(cluster, 'mover')
        self.group = {'bootstrap.servers': cluster.bootstrap, 'group.id': 'movers',
                      'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
                      'isolation.level': 'read_committed', 'session.timeout.ms': 6000, **QUIET}
        self.must_stop = threading.Event()
        self.moved = 0

    def run(self):
        while not self.must_stop.is_set():
            consumer = Consumer(self.group)
            consumer.subscribe([SOURCE])
            try:
                while not self.must_stop.is_set() and self.one(consumer):
                    pass
            except Doubt:
                pass
            consumer.close()

    def one(self, consumer):
        """False: what was read must be read again, from what is committed."""
        messages = [message for message in consumer.consume(200, 0.2) if not message.error()]
        if not messages:
            return True

        def write(producer):
            for message in messages:
                producer.produce(TARGET, value=message.value(), partition=message.partition())
            ends = {}
            for message in messages:
                ends[message.partition()] = message.offset() + 1
            self.transactional.again(
                producer.send_offsets_to_transaction,
                [TopicPartition(SOURCE, index, end) for index, end in ends.items()],
                consumer.consumer_group_metadata(), 20)
        is_committed = self.transactional.run(write)
        self.moved += len(messages) if is_committed else 0
        return is_committed


def check_whole(writers, values):
    """Every transaction is there as its writer was told, whole or not at all."""
    seen = collections.Counter(value.rsplit('-', 1)[0] for value in values)
    need(len(values) == len(set(values)), 'a record is there twice')
    told = {name: outcome for writer in writers for name, outcome in writer.told.items()}
    for name, outcome in told.items():
        need(seen[name] in (0, RECORDS), f'{name} is half there: {seen[name]} records')
        need(outcome is None or (seen[name] > 0) == outcome, f'{name}: {outcome}, {seen[name]}')
    need(set(seen) <= set(told), 'a transaction is there that nobody wrote')
    return collections.Counter(told.values())


def ends_of(cluster):
    """Of every partition, and its last stable offset."""
    ends = {}
    for isolation in ('read_uncommitted', 'read_committed'):
        consumer = Consumer({'bootstrap.servers': cluster.bootstrap, 'group.id': 'ends',
                             'isolation.level': isolation, **QUIET})
        for topic in (SOURCE, TARGET):
            for index in range(PARTITIONS):
                end = consumer.get_watermark_offsets(TopicPartition(topic, index), 30)[1]
                ends.setdefault((topic, index), []).append(end)
        consumer.close()
    return ends


def wait_for_more(writers, count):
    """Until so many further transactions have ended."""
    def ended():
        return sum(len(writer.told) for writer in writers)
    wanted = ended() + count
    wait_for(f'{count} more transactions end', lambda: ended() >= wanted, SECONDS)


def pause(cluster, victim):
    """A broker that stands still until others lead, and goes on as if it still did."""
    number = int(victim.settings['node.id'])
    other = next(broker for broker in cluster.brokers.values() if broker is not victim)
    admin = AdminClient({'bootstrap.servers': other.bootstrap, **QUIET})

    def claim():
        try:
            topics = admin.list_topics(timeout=10).topics
        except KafkaException as error:
            return error
        led = [index for name in (SOURCE, TARGET)
               for index, partition in topics[name].partitions.items() if partition.leader == number]
        return led == [] or led
    victim.process.send_signal(signal.SIGSTOP)
    wait_for('others lead', claim, SECONDS)
    victim.process.send_signal(signal.SIGCONT)


def start_all(brokers):
    """At once: alone none of them is a majority."""
    starts = [threading.Thread(target=broker.start) for broker in brokers]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    for broker in brokers:
        need(broker.process.poll() is None, f'not started\n{broker.tail()}')


def main():
    chance = random.Random(SEED)
    with Cluster(3) as cluster:
        make_topic(cluster, SOURCE)
        make_topic(cluster, TARGET)
        writers = [Writer(cluster, number) for number in range(2)]
        mover = Mover(cluster)
        for thread in [*writers, mover]:
            thread.start()
        wait_for('something is moved', lambda: mover.moved > 0, SECONDS)
        for turn in range(KILLS):
            wait_for_more(writers, chance.randrange(10, 40))
            kind = KINDS[turn % len(KINDS)]
            victims = list(cluster.brokers.values())
            victims = victims if kind == 'all' else [chance.choice(victims)]
            if kind == 'pause':
                pause(cluster, victims[0])
                continue
            for victim in victims:
                victim.kill()
            if kind == 'late':
                wait_for_more(writers, chance.randrange(2, 20))
            start_all(victims)
        for writer in writers:
            writer.must_stop.set()
            writer.join(SECONDS)
            need(not writer.is_alive(), f'{writer.name_} did not end')
        wait_for('all is stable at the source', lambda: all(
            dirty == clean for (topic, _), (dirty, clean) in ends_of(cluster).items()
            if topic == SOURCE), SECONDS)
        values = read_all(cluster, SOURCE, 'read_committed')
        outcomes = check_whole(writers, values)
        wait_for('all is moved', lambda: len(
            read_all(cluster, TARGET, 'read_committed')) >= len(values), SECONDS)
        mover.must_stop.set()
        mover.join(SECONDS)
        wait_for('all is stable', lambda: all(
            dirty == clean for dirty, clean in ends_of(cluster).values()), SECONDS)
        moved = read_all(cluster, TARGET, 'read_committed')
        need(sorted(moved) == sorted(values),
             f'{len(moved)} moved, {len(values)} written, '
             f'{len(moved) - len(set(moved))} of them twice')
    print(f'{KILLS} times brokers died or stood still: {outcomes[True]} transactions committed, {outcomes[False]} '
          f'aborted, {outcomes[None]} not known to their writers; {len(moved)} records moved once')


if __name__ == '__main__':
    sys.exit(main())
