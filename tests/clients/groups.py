"""Goal: consumer groups of strangers work: librdkafka (eager and cooperative), kafka-python, kcat.
Method: one broker; members come, take over each other's partitions and leave; offsets that were
committed are where the next one begins; operators' questions are answered."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker, need  # noqa: E402

from group_member import (PARTITIONS, AdminClient, Member, check_committed, make_topic, produce,  # noqa: E402
                          shared_out, wait_for)


def rebalances(broker, strategy):
    topic, group = f'in-{strategy}', f'group-{strategy}'
    admin = make_topic(broker, topic)
    produce(broker, topic, 600)
    settings = {'partition_assignment_strategy': strategy}
    first = Member(broker, topic, group, **settings)
    wait_for('the first member owns all', lambda: shared_out([first]))
    # librdkafka takes a commit that a new generation has overtaken for the loss of all it owns.
    check_committed(broker, topic, group, 100)
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
    check_committed(broker, topic, group, 200)
    return topic, group


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
