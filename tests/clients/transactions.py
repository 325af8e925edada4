"""Goal: transactions of a stranger's client work: librdkafka commits, aborts, is fenced, and moves
records from one topic to another exactly once.
Method: a cluster of three brokers; what a read_committed and a read_uncommitted reader see is held
against what was committed."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Cluster, need, skip  # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
except ImportError:
    skip('python3-confluent-kafka is not installed')

from txn_client import PARTITIONS, make_topic, read_all, transactional  # noqa: E402


def commit_and_abort(cluster):
    """What was aborted is seen by no committed reader, before, between and behind commits."""
    topic = make_topic(cluster, 'ended')
    producer = transactional(cluster, 'one')
    expected, written = set(), set()
    for number in range(30):
        producer.begin_transaction()
        for index in range(PARTITIONS):
            value = f'{number}-{index}'
            written.add(value)
            producer.produce(topic, value=value, partition=index)
        if number % 3 == 1:
            producer.abort_transaction(30)
            written -= {value for value in written if value.startswith(f'{number}-')}
        else:
            producer.commit_transaction(30)
            expected |= {f'{number}-{index}' for index in range(PARTITIONS)}
    committed = read_all(cluster, topic, 'read_committed')
    need(sorted(committed) == sorted(expected), f'{len(committed)} of {len(expected)} committed')
    uncommitted = set(read_all(cluster, topic, 'read_uncommitted'))
    need(expected <= uncommitted, 'a committed record is not there')
    return len(committed)


def open_is_not_seen(cluster):
    """Records of an open transaction hold back the committed reader only."""
    topic = make_topic(cluster, 'open')
    producer = transactional(cluster, 'two')
    producer.begin_transaction()
    producer.produce(topic, value='hidden', partition=0)
    producer.flush(30)
    plain = Producer({'bootstrap.servers': cluster.bootstrap})
    plain.produce(topic, value='behind', partition=0)
    need(plain.flush(30) == 0, 'not produced')
    need(read_all(cluster, topic, 'read_uncommitted') == ['hidden', 'behind'], 'dirty reader')
    need(read_all(cluster, topic, 'read_committed') == [], 'an open transaction was seen')
    producer.commit_transaction(30)
    need(read_all(cluster, topic, 'read_committed') == ['hidden', 'behind'], 'behind the commit')


def fenced(cluster):
    """Whoever comes second with an id is the one; the first one's open transaction is gone."""
    topic = make_topic(cluster, 'fenced')
    first = transactional(cluster, 'same')
    first.begin_transaction()
    first.produce(topic, value='zombie', partition=0)
    first.flush(30)
    second = transactional(cluster, 'same')
    second.begin_transaction()
    second.produce(topic, value='heir', partition=0)
    second.commit_transaction(30)
    try:
        first.produce(topic, value='zombie', partition=0)
        first.commit_transaction(30)
        raise AssertionError('the zombie committed')
    except KafkaException as error:
        need(error.args[0].fatal(), f'{error}')
        need(error.args[0].name() in ('_FENCED', 'PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'),
             f'{error}')
    need(read_all(cluster, topic, 'read_committed') == ['heir'], 'the zombie is seen')


def consume_transform_produce(cluster):
    """Offsets are committed with the output or not at all."""
    source, target = make_topic(cluster, 'source'), make_topic(cluster, 'target')
    plain = Producer({'bootstrap.servers': cluster.bootstrap})
    for number in range(300):
        plain.produce(source, value=str(number), partition=number % PARTITIONS)
    need(plain.flush(30) == 0, 'not produced')
    group = {'bootstrap.servers': cluster.bootstrap, 'group.id': 'mover',
             'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
             'isolation.level': 'read_committed', 'session.timeout.ms': 6000}
    producer = transactional(cluster, 'mover')
    moved, turn = 0, 0
    while moved < 300:
        consumer = Consumer(group)
        consumer.subscribe([source])
        while True:  # Until an abort sends it back to what is committed.
            messages = [message for message in consumer.consume(20, 5) if not message.error()]
            if not messages:
                break
            turn += 1
            producer.begin_transaction()
            for message in messages:
                producer.produce(target, value=message.value(), partition=message.partition())
            producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 30)
            if turn % 4 == 2:
                producer.abort_transaction(30)
                break
            producer.commit_transaction(30)
            moved += len(messages)
            if moved >= 300:
                break
        committed = consumer.committed([TopicPartition(source, index)
                                        for index in range(PARTITIONS)], 30)
        need(sum(max(row.offset, 0) for row in committed) == moved, f'{moved}: {committed}')
        consumer.close()
    values = read_all(cluster, target, 'read_committed')
    need(sorted(map(int, values)) == list(range(300)), f'{len(values)} values came over')
    return turn


def timeout_is_checked(cluster):
    """A timeout above the limit is refused."""
    producer = Producer({'bootstrap.servers': cluster.bootstrap, 'transactional.id': 'patient',
                         'transaction.timeout.ms': 900001, 'message.timeout.ms': 900000})
    try:
        producer.init_transactions(30)
        raise AssertionError('15 minutes and more were granted')
    except KafkaException as error:
        need(error.args[0].name() == 'INVALID_TRANSACTION_TIMEOUT', f'{error}')


def timed_out(cluster):
    """A transaction that nobody ends is ended, and its producer is fenced."""
    topic = make_topic(cluster, 'forgotten')
    producer = transactional(cluster, 'forgetful', **{'transaction.timeout.ms': 1500})
    producer.begin_transaction()
    producer.produce(topic, value='forgotten', partition=0)
    producer.flush(30)
    plain = Producer({'bootstrap.servers': cluster.bootstrap})
    plain.produce(topic, value='behind', partition=0)
    need(plain.flush(30) == 0, 'not produced')
    values = read_all(cluster, topic, 'read_committed', wanted=1)
    need(values == ['behind'], f'{values}')
    try:
        producer.commit_transaction(30)
        raise AssertionError('it was committed after its time')
    except KafkaException as error:
        need(error.args[0].fatal() or error.args[0].txn_requires_abort(), f'{error}')


def main():
    with Cluster(3) as cluster:
        count = commit_and_abort(cluster)
        open_is_not_seen(cluster)
        fenced(cluster)
        turns = consume_transform_produce(cluster)
        timeout_is_checked(cluster)
        timed_out(cluster)
        for broker in cluster.brokers.values():
            broker.stop()
    print(f'transactions: {count} records committed, {turns} turns of consume-transform-produce')


if __name__ == '__main__':
    sys.exit(main())
