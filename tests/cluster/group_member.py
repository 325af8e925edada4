"""One member of a consumer group, and how to wait for what a group shall come to."""
import threading

from broker_process import skip
from claims import SECONDS, need, wait_for

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    skip('python3-confluent-kafka is not installed')

PARTITIONS = 6
# What a client that asks in the middle of a failover is told, and asks again.
PASSING = {'NOT_COORDINATOR', 'COORDINATOR_LOAD_IN_PROGRESS', 'COORDINATOR_NOT_AVAILABLE',
           '_TIMED_OUT', '_TRANSPORT', '_WAIT_COORD', 'REQUEST_TIMED_OUT'}


def make_topic(broker, name, replicas=1):
    admin = AdminClient({'bootstrap.servers': broker.bootstrap})
    admin.create_topics([NewTopic(name, PARTITIONS, replicas)])[name].result(30)
    return admin


def produce(broker, topic, count, first=0):
    producer = Producer({'bootstrap.servers': broker.bootstrap})
    for number in range(first, first + count):
        producer.produce(topic, value=str(number), partition=number % PARTITIONS)
    need(producer.flush(30) == 0, 'not all produced')


class Member:
    """One librdkafka consumer on a thread of its own. It commits how far it came, one commit at a
    time: the library sends again what a failover refused, and later commits may overtake that."""

    def __init__(self, broker, topic, group, **settings):
        config = {'bootstrap.servers': broker.bootstrap, 'group.id': group,
                  'auto.offset.reset': 'earliest', 'session.timeout.ms': 6000,
                  'heartbeat.interval.ms': 200, 'enable.auto.commit': False,
                  'on_commit': self.on_commit}
        config.update({key.replace('_', '.'): value for key, value in settings.items()})
        self.topic, self.reached, self.is_dirty, self.is_committing = topic, {}, False, False
        self.consumer = Consumer(config)
        self.is_cooperative = 'cooperative' in str(config.get('partition.assignment.strategy'))
        self.owned, self.values, self.revoked_count = set(), [], 0
        self.must_stop = False
        self.error = None
        self.consumer.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_commit(self, error, partitions):
        self.is_committing = False
        if error is not None or any(partition.error is not None for partition in partitions):
            self.is_dirty = True

    def commit(self, asynchronous):
        self.is_dirty = False
        self.consumer.commit(asynchronous=asynchronous, offsets=[
            TopicPartition(self.topic, index, at) for index, at in self.reached.items()])

    def on_assign(self, consumer, partitions):
        added = {partition.partition for partition in partitions}
        if self.is_cooperative:
            consumer.incremental_assign(partitions)
            self.owned |= added
        else:
            consumer.assign(partitions)
            self.owned = added

    def on_revoke(self, consumer, partitions):
        self.revoked_count += len(partitions)
        if self.is_dirty or self.is_committing:
            try:
                self.commit(asynchronous=False)
            except KafkaException:
                pass  # Who gets them reads again what is not committed.
        for partition in partitions:
            self.reached.pop(partition.partition, None)
        if self.is_cooperative:
            consumer.incremental_unassign(partitions)
            self.owned -= {partition.partition for partition in partitions}
        else:
            consumer.unassign()
            self.owned = set()

    def run(self):
        try:
            while not self.must_stop:
                message = self.consumer.poll(0.05)
                if message is not None and message.error() is None:
                    self.values.append(int(message.value()))
                    self.reached[message.partition()] = message.offset() + 1
                    self.is_dirty = True
                if self.is_dirty and not self.is_committing:
                    self.is_committing = True
                    self.commit(asynchronous=True)
            self.consumer.close()
        except Exception as error:  # noqa: BLE001
            self.error = error

    def stop(self):
        self.must_stop = True
        self.thread.join(SECONDS)
        need(not self.thread.is_alive(), 'a member did not leave')
        need(self.error is None, f'a member failed: {self.error}')


def shared_out(members):
    """Every partition has one owner, and everybody owns some."""
    owned = [partition for member in members for partition in member.owned]
    return sorted(owned) == list(range(PARTITIONS)) and all(member.owned for member in members)


def check_committed(broker, topic, group, offset):
    consumer = Consumer({'bootstrap.servers': broker.bootstrap, 'group.id': group})
    wanted = [TopicPartition(topic, index) for index in range(PARTITIONS)]

    def are_there():
        try:
            found = [partition.offset for partition in consumer.committed(wanted, timeout=10)]
        except KafkaException as error:
            need(error.args[0].name() in PASSING, f'{error}')
            return error
        return found == [offset] * PARTITIONS or found
    wait_for(f'commits of {offset} are there', are_there)
    consumer.close()
