"""Goal: what a broker acknowledged is there after it died, once, in order.
Method: an idempotent librdkafka producer writes numbered records while the broker is killed 50 times
with SIGKILL and started again; then everything is read back and held against the acknowledgements."""
import collections
import os
import random
import sys
import threading

from broker_process import Broker, need, skip

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    skip('python3-confluent-kafka is not installed')

KILLS = int(os.environ.get('MILLRACE_KILLS', '50'))
SEED = int(os.environ.get('MILLRACE_SEED', '1'))
PARTITIONS = 4
RECORDS_BETWEEN_KILLS = 200
TOPIC = 'numbers'


class Writer(threading.Thread):
    """Writes until told to end; keeps what was acknowledged, with its offset."""

    def __init__(self, bootstrap):
        super().__init__()
        self.producer = Producer({'bootstrap.servers': bootstrap, 'enable.idempotence': True,
                                  'linger.ms': 1, 'message.timeout.ms': 300000,
                                  'reconnect.backoff.max.ms': 200})
        self.acknowledged = collections.defaultdict(dict)
        self.errors = []
        self.count = threading.Condition()
        self.is_ending = False

    def on_delivery(self, error, message):
        with self.count:
            if error is not None:
                self.errors.append(str(error))
            else:
                numbers = self.acknowledged[message.partition()]
                numbers[int(message.value())] = message.offset()
            self.count.notify_all()

    def run(self):
        number = 0
        while not self.is_ending:
            try:
                self.producer.produce(TOPIC, str(number), partition=number % PARTITIONS,
                                      on_delivery=self.on_delivery)
                number += 1
            except BufferError:
                pass
            self.producer.poll(0.001)
        left = self.producer.flush(120)
        need(left == 0, f'{left} records were never answered')

    def total(self):
        return sum(len(numbers) for numbers in self.acknowledged.values())

    def wait_for_more(self, more):
        with self.count:
            wanted = self.total() + more
            need(self.count.wait_for(lambda: self.errors or self.total() >= wanted, timeout=120),
                 'no progress for two minutes')


def read_all(bootstrap):
    consumer = Consumer({'bootstrap.servers': bootstrap, 'group.id': 'unused',
                         'enable.auto.commit': False, 'enable.partition.eof': True})
    consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
    records, ended = collections.defaultdict(list), set()
    while len(ended) < PARTITIONS:
        message = consumer.poll(30)
        need(message is not None, 'nothing came for 30 s')
        if message.error():
            need(message.error().name() == '_PARTITION_EOF', str(message.error()))
            ended.add(message.partition())
        else:
            records[message.partition()].append((message.offset(), int(message.value())))
    consumer.close()
    return records


def main():
    chance = random.Random(SEED)
    with Broker() as broker:
        admin = AdminClient({'bootstrap.servers': broker.bootstrap})
        for future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
            future.result(30)
        writer = Writer(broker.bootstrap)
        writer.start()
        for kill in range(KILLS):
            writer.wait_for_more(chance.randrange(1, RECORDS_BETWEEN_KILLS))
            broker.kill()
            broker.start()
        writer.wait_for_more(1)
        writer.is_ending = True
        writer.join()
        need(not writer.errors, f'delivery failed: {writer.errors[:3]}')
        records = read_all(broker.bootstrap)
        for partition in range(PARTITIONS):
            numbers = [number for _, number in records[partition]]
            need(numbers == sorted(numbers), f'partition {partition} is out of order')
            need(len(numbers) == len(set(numbers)), f'partition {partition} has a record twice')
            at = {number: offset for offset, number in records[partition]}
            for number, offset in writer.acknowledged[partition].items():
                need(at.get(number) == offset,
                     f'record {number} was acknowledged at {partition}:{offset}, '
                     f'and is at {at.get(number)}')
        print(f'seed {SEED}: {KILLS} kills, {writer.total()} acknowledged, all there')


if __name__ == '__main__':
    sys.exit(main())
