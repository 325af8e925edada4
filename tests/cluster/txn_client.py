"""What tests of transactions share: topics, transactional producers, and readers of everything."""
import time

from broker_process import need, skip

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    skip('python3-confluent-kafka is not installed')

PARTITIONS = 4
SECONDS = 60
END = KafkaError._PARTITION_EOF


def make_topic(cluster, name, partitions=PARTITIONS, replicas=3):
    admin = AdminClient({'bootstrap.servers': cluster.bootstrap})
    admin.create_topics([NewTopic(name, partitions, replicas)])[name].result(30)
    return name


def transactional(cluster, name, **settings):
    producer = Producer({'bootstrap.servers': cluster.bootstrap, 'transactional.id': name,
                         'transaction.timeout.ms': 60000, 'linger.ms': 0, **settings})
    producer.init_transactions(30)
    return producer


def read_all(cluster, topic, isolation, partitions=PARTITIONS, wanted=None):
    """Values of all partitions from their beginnings to their ends as the reader sees them; with
    `wanted`, until so many are there."""
    consumer = Consumer({'bootstrap.servers': cluster.bootstrap, 'group.id': 'reader',
                         'enable.auto.commit': False, 'isolation.level': isolation,
                         'enable.partition.eof': True})
    consumer.assign([TopicPartition(topic, index, 0) for index in range(partitions)])
    values, ended = [], set()
    deadline = time.monotonic() + SECONDS
    while len(values) < wanted if wanted is not None else len(ended) < partitions:
        need(time.monotonic() < deadline, f'{len(values)} values, ends of {ended}')
        for message in consumer.consume(1000, 0.1):
            if message.error() and message.error().code() == END:
                ended.add(message.partition())
            else:
                need(not message.error(), f'{message.error()}')
                values.append(message.value().decode())
                ended.discard(message.partition())
    consumer.close()
    return values
