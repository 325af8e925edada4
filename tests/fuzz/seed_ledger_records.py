"""Makes seeds for fuzz_ledger_records: the golden records of both internal topics, as records one
after another and as snapshots."""
import gzip, json, pathlib, struct, sys

stamp, golden = map(pathlib.Path, sys.argv[1:])
folder = stamp.parent / 'seeds' / 'ledger_records'
folder.mkdir(parents=True, exist_ok=True)
TOPICS = {'__consumer_offsets': 0, '__transaction_state': 1}
records = {0: [], 1: []}
for line in gzip.open(golden / 'coordinator-records.jsonl.gz'):
    case = json.loads(line)
    if case['topic'] in TOPICS and case['name'] in ('OffsetCommit', 'GroupMetadata', 'TransactionLog'):
        records[TOPICS[case['topic']]].append((bytes.fromhex(case['keyHex']),
                                               bytes.fromhex(case['valueHex'])))


def plain(key, value, producer):
    return struct.pack('>HHH', len(key), len(value), producer) + key + value


def snapshot(rows):
    head = b'MLSN' + struct.pack('>hI', 1, 0) + bytes(16) + struct.pack('>iiqq', 0, 0, 1, len(rows))
    return head + b''.join(struct.pack('>qqhii', 1, -1, -1, len(key), len(value)) + key + value
                           for key, value in rows)


for kind, rows in records.items():
    for number, (key, value) in enumerate(rows):
        if len(key) + len(value) < 2000:
            (folder / f'{kind}-{number}').write_bytes(
                bytes([kind]) + plain(key, value, number % 3) +
                struct.pack('>HHH', 0xffff, 0, number % 8) +
                struct.pack('>HHH', len(key), 0xffff, 0) + key)
    some = [row for row in rows if len(row[0]) + len(row[1]) < 500][:12]
    (folder / f'{kind}-all').write_bytes(
        bytes([kind]) + b''.join(plain(key, value, number % 5)
                                 for number, (key, value) in enumerate(some)))
    (folder / f'{kind}-snapshot').write_bytes(bytes([kind | 2]) + snapshot(some))
stamp.write_text('')
