"""Goal: consumer groups of strangers work: librdkafka (eager and cooperative), kafka-python, kcat.
Method: one broker; members come, take over each other's partitions and leave; offsets that were
committed are where the next one begins; operators' questions are answered."""
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker, need, skip  # noqa: E402

try:
    from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    try:
        from confluent_kafka import Consumer, Producer, TopicPartition
        from confluent_kafka.admin import AdminClient, NewTopic
    except ImportError:
        skip('python3-confluent-kafka is not installed')
    ConsumerGroupTopicPartitions = None

PARTITIONS = 6
SECONDS = 60


def make_topic(broker, name):
    admin = AdminClient({'bootstrap.servers': broker.bootstrap})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
    return admin


def produce(broker, topic, count, first=0):
    producer = Producer({'bootstrap.servers': broker.bootstrap})
    for number in range(first, first + count):
        producer.produce(topic, value=str(number), partition=number % PARTITIONS)
    need(producer.flush(30) == 0, 'not all produced')


class Member:
    """One librdkafka consumer on a thread of its own."""

    def __init__(self, broker, topic, group, **settings):
        config = {'bootstrap.servers': broker.bootstrap, 'group.id': group,
                  'auto.offset.reset': 'earliest', 'session.timeout.ms': 6000,
                  'heartbeat.interval.ms': 200, 'enable.auto.commit': False}
        config.update({key.replace('_', '.'): value for key, value in settings.items()})
        self.consumer = Consumer(config)
        self.is_cooperative = 'cooperative' in str(config.get('partition.assignment.strategy'))
        self.owned, self.values, self.revoked_count = set(), [], 0
        self.must_stop = False
        self.error = None
        self.consumer.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

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
                    self.consumer.commit(message=message, asynchronous=True)
            self.consumer.close()
        except Exception as error:  # noqa: BLE001
            self.error = error

    def stop(self):
        self.must_stop = True
        self.thread.join(SECONDS)
        need(not self.thread.is_alive(), 'a member did not leave')
        need(self.error is None, f'a member failed: {self.error}')


def wait_for(what, condition):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f'not within {SECONDS} s: {what}')


def shared_out(members):
    """Every partition has one owner, and everybody owns some."""
    owned = [partition for member in members for partition in member.owned]
    return sorted(owned) == list(range(PARTITIONS)) and all(member.owned for member in members)


def rebalances(broker, strategy):
    topic, group = f'in-{strategy}', f'group-{strategy}'
    admin = make_topic(broker, topic)
    produce(broker, topic, 600)
    settings = {'partition_assignment_strategy': strategy}
    first = Member(broker, topic, group, **settings)
    wait_for('the first member owns all', lambda: shared_out([first]))
    second = Member(broker, topic, group, **settings)
    wait_for('two members share', lambda: shared_out([first, second]))
    third = Member(broker, topic, group, **settings)
    wait_for('three members share', lambda: shared_out([first, second, third]))
    groups = {listed.id: listed for listed in admin.list_groups(timeout=10)}
    need(group in groups, f'listed {list(groups)}')
    need(groups[group].state == 'Stable', groups[group].state)
    need(len(groups[group].members) == 3, f'{len(groups[group].members)} members')
    need(groups[group].protocol == strategy, groups[group].protocol)
    second.stop()
    wait_for('the two that stayed share', lambda: shared_out([first, third]))
    produce(broker, topic, 600, 600)

    def everything():
        return set(first.values + second.values + third.values) == set(range(1200))
    wait_for('everything is read', everything)
    if strategy == 'cooperative-sticky':
        need(first.revoked_count <= 4, f'the first lost {first.revoked_count} partitions')
    first.stop()
    third.stop()
    check_committed(broker, topic, group)
    return topic, group


def check_committed(broker, topic, group):
    consumer = Consumer({'bootstrap.servers': broker.bootstrap, 'group.id': group})
    wanted = [TopicPartition(topic, index) for index in range(PARTITIONS)]

    def is_there():
        return all(found.offset == 200 for found in consumer.committed(wanted, timeout=10))
    wait_for('all commits are there', is_there)
    consumer.close()


def static_member_returns(broker):
    topic, group = 'in-static', 'group-static'
    make_topic(broker, topic)
    one = Member(broker, topic, group, group_instance_id='one')
    two = Member(broker, topic, group, group_instance_id='two')
    wait_for('static members share', lambda: shared_out([one, two]))
    revoked, owned = one.revoked_count, set(one.owned)
    two.stop()  # Says nothing: a static member only goes when its session ends.
    again = Member(broker, topic, group, group_instance_id='two')
    wait_for('the same instance owns the same', lambda: shared_out([one, again]))
    need(one.revoked_count == revoked and one.owned == owned, 'the other one was disturbed')
    again.stop()
    one.stop()


def session_ends(broker):
    """A member that stops beating loses its partitions to the other one."""
    topic, group = 'in-session', 'group-session'
    make_topic(broker, topic)
    one = Member(broker, topic, group)
    wait_for('one owns all', lambda: shared_out([one]))
    script = (f"from confluent_kafka import Consumer\n"
              f"c = Consumer({{'bootstrap.servers': '{broker.bootstrap}', 'group.id': '{group}',"
              f"'session.timeout.ms': 6000, 'heartbeat.interval.ms': 200}})\n"
              f"c.subscribe(['{topic}'])\n"
              f"while not c.assignment(): c.poll(0.05)\n"
              f"print('in', flush=True)\n"
              f"while True: c.poll(1)\n")
    child = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE)
    need(child.stdout.readline() == b'in\n', 'the other member did not come')
    wait_for('they share', lambda: len(one.owned) == PARTITIONS // 2)
    child.kill()
    child.wait()
    wait_for('the one that lives owns all again', lambda: shared_out([one]))
    one.stop()


def kafka_python(broker):
    try:
        from kafka import KafkaConsumer
        from kafka import TopicPartition as Place
    except ImportError:
        return 'kafka-python is missing'
    topic, group = 'in-python', 'group-python'
    make_topic(broker, topic)
    produce(broker, topic, 120)
    settings = {'bootstrap_servers': broker.bootstrap, 'group_id': group,
                'auto_offset_reset': 'earliest', 'enable_auto_commit': False,
                'session_timeout_ms': 6000, 'heartbeat_interval_ms': 500,
                'consumer_timeout_ms': 10000}
    consumer = KafkaConsumer(topic, **settings)
    values = []
    for message in consumer:
        values.append(int(message.value))
        if len(values) == 120:
            break
    consumer.commit()
    consumer.close()
    need(sorted(values) == list(range(120)), f'{len(values)} values')
    again = KafkaConsumer(**settings)
    for index in range(PARTITIONS):
        need(again.committed(Place(topic, index)) == 20, f'partition {index} is not committed')
    again.close()
    return 'kafka-python'


def kcat_group(broker, topic):
    """kcat -G reads from the beginning as a new group and leaves at the end."""
    result = subprocess.run(['kcat', '-b', broker.bootstrap, '-G', 'group-kcat', '-e', '-q', '-o',
                             'beginning', '-X', 'auto.offset.reset=earliest', topic],
                            capture_output=True, text=True, timeout=120)
    need(result.returncode == 0, result.stderr)
    need(len(result.stdout.split()) == 1200, f'{len(result.stdout.split())} lines')
    return result.stderr


def empty_groups_can_be_deleted(broker, group):
    admin = AdminClient({'bootstrap.servers': broker.bootstrap})
    if not hasattr(admin, 'delete_consumer_groups'):
        return
    admin.delete_consumer_groups([group])[group].result(30)
    need(group not in {listed.id for listed in admin.list_groups(timeout=10)}, 'still listed')


def main():
    with Broker() as broker:
        topic, group = rebalances(broker, 'range')
        rebalances(broker, 'cooperative-sticky')
        static_member_returns(broker)
        session_ends(broker)
        python = kafka_python(broker)
        complaint = kcat_group(broker, topic)
        need('WARN' not in complaint, complaint)
        empty_groups_can_be_deleted(broker, group)
        broker.stop()
    print(f'groups: librdkafka eager and cooperative, static members, sessions, kcat, {python}')


if __name__ == '__main__':
    sys.exit(main())
