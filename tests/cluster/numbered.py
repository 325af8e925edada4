"""Numbered records: written by an idempotent librdkafka producer, read back, and compared."""
import collections
import threading
import time

from broker_process import need, skip

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    skip('python3-confluent-kafka is not installed')

TOPIC = 'numbers'
PARTITIONS = 4


def create(bootstrap, replicas):
    admin = AdminClient({'bootstrap.servers': bootstrap})
    for future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, replicas)]).values():
        future.result(30)


class Writer(threading.Thread):
    """Writes until told to end; keeps what was acknowledged, with its offset."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        # Else what is measured is librdkafka's own patience with a broker that died before: it waits
        # up to ten seconds until it looks again whether that one is back.
        self.producer = Producer({'bootstrap.servers': bootstrap, 'enable.idempotence': True,
                                  'reconnect.backoff.max.ms': 200})
        self.acknowledged = collections.defaultdict(dict)
        self.last_at = {}
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
                self.last_at[message.partition()] = time.monotonic()
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


    def wait_for_partition(self, partition, after):
        """When the first acknowledgement of a partition came after a moment."""
        with self.count:
            need(self.count.wait_for(
                lambda: self.errors or self.last_at.get(partition, 0) > after, timeout=120),
                 f'no progress on partition {partition} for two minutes')
            return self.last_at[partition]

    def end(self):
        self.is_ending = True
        self.join()
        need(not self.errors, f'delivery failed: {self.errors[:3]}')


def read_all(bootstrap, number_of=lambda message: int(message.value())):
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
            records[message.partition()].append((message.offset(), number_of(message)))
    consumer.close()
    return records


def check(acknowledged, records):
    """Nothing acknowledged is missing or elsewhere, nothing is there twice, order is kept."""
    for partition in range(PARTITIONS):
        numbers = [number for _, number in records[partition]]
        need(numbers == sorted(numbers), f'partition {partition} is out of order')
        need(len(numbers) == len(set(numbers)), f'partition {partition} has a record twice')
        at = {number: offset for offset, number in records[partition]}
        for number, offset in acknowledged[partition].items():
            # A repeat of an older batch is told to be there, but not where: the offset is None.
            need(number in at and offset in (None, at[number]),
                 f'record {number} was acknowledged at {partition}:{offset}, and is at '
                 f'{at.get(number)}')
