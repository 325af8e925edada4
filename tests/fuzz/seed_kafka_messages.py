"""Seeds for fuzz_kafka_messages: seed_kafka_messages.py STAMP GOLDEN_FOLDER SCHEMA... writes one
file per message and version, from the golden vectors, into the folder seeds/kafka_messages beside
the stamp."""
import gzip
import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'proto/kafka'))
import schema  # noqa: E402


def golden(folder):
    """Pairs of (kind, name, version, body)."""
    kinds = {'request': ('req', 'Request'), 'response': ('rsp', 'Response'),
             'header': ('hdr', ''), 'data': ('data', '')}
    for file in ('messages', 'messages-legacy'):
        for line in gzip.open(folder / f'{file}.jsonl.gz', 'rt'):
            case = json.loads(line)
            kind, suffix = kinds[case['kind']]
            yield kind, case['api'] + suffix, case['version'], case['hex'], case['fill']
    for line in gzip.open(folder / 'coordinator-records.jsonl.gz', 'rt'):
        case = json.loads(line)
        yield 'ckey', case['name'] + 'Key', 0, case['keyHex'][4:], case['fill']
        yield 'cval', case['name'] + 'Value', case['valueVersion'], case['valueHex'][4:], case['fill']


def main(stamp, folder, *paths):
    places = {}
    for path in paths:
        for message in schema.parse_file(path):
            places[message.kind, message.name] = (len(places), message.span.low)
    out = pathlib.Path(stamp).parent / 'seeds/kafka_messages'
    out.mkdir(parents=True, exist_ok=True)
    seen = set()
    for kind, name, version, body, fill in golden(pathlib.Path(folder)):
        place, low = places[kind, name]
        label = f'{name}-{version}-{fill}'
        if label not in seen and fill != 'default':
            seen.add(label)
            (out / label).write_bytes(bytes([place >> 8, place & 0xff, version - low]) +
                                      bytes.fromhex(body))
    pathlib.Path(stamp).write_text(f'{len(seen)}\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
