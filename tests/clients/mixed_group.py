"""Goal: members of our library and of librdkafka are one group, whoever of them leads.
Method: one broker; strangers and ours come and go in both orders; between them every partition has
one owner and every record is read once, and both read on from what the other has committed."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cluster'))
from broker_process import Broker  # noqa: E402
from claims import need, wait_for  # noqa: E402
from group_member import PARTITIONS, Member, check_committed, make_topic, produce  # noqa: E402
from our_member import OurMember  # noqa: E402

os.environ['MILLRACE_FIRST_TIMESTAMP'] = '1'
COUNT = 600


def both(broker, name, is_ours_first, strategy):
    """The first one leads; it has to deal out to a member of the other kind."""
    topic, group = f'mixed-{name}', f'group-{name}'
    make_topic(broker, topic)
    settings = {'partition_assignment_strategy': strategy}
    ours = OurMember(broker.bootstrap, topic, group) if is_ours_first else None
    stranger = None
    if ours is not None:
        ours.wait_told('assigned')
    stranger = Member(broker, topic, group, **settings)
    if ours is None:
        wait_for('the stranger owns all', lambda: len(stranger.owned) == PARTITIONS)
        ours = OurMember(broker.bootstrap, topic, group)
    wait_for('they share', lambda: len(stranger.owned) == PARTITIONS // 2)
    ours.wait_told('assigned')
    produce(broker, topic, COUNT)
    wait_for('all is read', lambda: len(stranger.values) + len(ours.values) >= COUNT)
    need(sorted(stranger.values + ours.values) == list(range(COUNT)), 'not once each')
    need(len(stranger.values) == COUNT // 2, f'the stranger read {len(stranger.values)}')
    ours.end()
    wait_for('the stranger owns all again', lambda: len(stranger.owned) == PARTITIONS)
    stranger.stop()
    check_committed(broker, topic, group, COUNT // PARTITIONS)


def main():
    with Broker() as broker:
        both(broker, 'ours-leads', True, 'range')
        both(broker, 'stranger-leads', False, 'range')
        both(broker, 'roundrobin', True, 'roundrobin')
        both(broker, 'either', False, 'roundrobin,range')


if __name__ == '__main__':
    main()
