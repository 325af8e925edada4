"""Goal: kafka-python, as Debian ships it, administers, produces with keys and headers, and reads."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker, need, skip  # noqa: E402

try:
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
    from kafka.errors import TopicAlreadyExistsError
except ImportError:
    skip('python3-kafka is not installed')

START_MS = int(time.time() * 1000) - 3600000


def administer(broker):
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic('things', 2, 1, topic_configs={'retention.ms': '86400000'})])
    try:
        admin.create_topics([NewTopic('things', 2, 1)])
        need(False, 'a topic was made twice')
    except TopicAlreadyExistsError:
        pass
    admin.create_partitions({'things': NewPartitions(3)})
    answer = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, 'things')])
    values = {entry[0]: entry[1] for entry in answer[0].resources[0][4]}
    need(values['retention.ms'] == '86400000', f"retention.ms is {values['retention.ms']}")
    admin.create_topics([NewTopic('gone', 1, 1)])
    admin.delete_topics(['gone'])
    need(set(admin.list_topics()) == {'things'}, f'listed {admin.list_topics()}')
    admin.close()


def produce(broker):
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks='all',
                             compression_type='gzip')
    sent = {}
    for i in range(300):
        future = producer.send('things', key=b'k%d' % i, value=b'v%d' % i,
                               headers=[('n', b'%d' % i)], partition=i % 3, timestamp_ms=START_MS + i)
        sent[future.get(30).partition, future.get(30).offset] = i
    producer.close()
    return sent


def main():
    with Broker() as broker:
        administer(broker)
        sent = produce(broker)
        consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, consumer_timeout_ms=20000)
        parts = [TopicPartition('things', p) for p in range(3)]
        consumer.assign(parts)
        consumer.seek_to_beginning()
        seen = {}
        for record in consumer:
            i = int(record.headers[0][1])
            need(record.key == b'k%d' % i and record.value == b'v%d' % i, f'record {record}')
            need(record.timestamp == START_MS + i, f'record {record}')
            seen[record.partition, record.offset] = i
            if len(seen) == len(sent):
                break
        need(seen == sent, 'what was read is not what was acknowledged')
        found = consumer.offsets_for_times({parts[0]: START_MS + 150})[parts[0]]
        need(found.timestamp == START_MS + 150 and found.offset == 50, f'offset for a time: {found}')
        need(consumer.end_offsets(parts) == {part: 100 for part in parts}, 'end offsets')
        consumer.close()
    print('kafka-python: administers, 300 records out and back')


if __name__ == '__main__':
    sys.exit(main())
