"""The rows of the quickstart: how they are written, and an independent check of what came back.

  quickstart_rows.py feed FLIGHTS PARTITIONS SECONDS    lines for `millrace produce --json`, within
      so many seconds; half of them written, says `half` on descriptor 3
  quickstart_rows.py check FLIGHTS ROWS PARTITIONS      compares, prints, exits 1 on a difference

Uses Python's own library only, and nothing of Millrace.
"""
import collections
import json
import os
import sys
import time

CHUNK_ROWS = 100


def flights_of(path):
    with open(path, encoding='utf-8') as file:
        return file.read().splitlines()


def feed(path, partitions, seconds):
    """Row i goes to partition i modulo the number of partitions."""
    flights = flights_of(path)
    begin = time.monotonic()
    for index, value in enumerate(flights):
        if index == len(flights) // 2:
            sys.stdout.flush()
            with open(3, 'w', encoding='ascii') as half:
                print('half', file=half)
        if index % CHUNK_ROWS == 0:
            time.sleep(max(0, begin + seconds * index / len(flights) - time.monotonic()))
        print(json.dumps({'partition': index % partitions, 'value': value}))


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def haul(flight):
    miles = flight['distance_mi']
    return 'short' if miles < 500 else 'medium' if miles < 1500 else 'long'


def show_hauls(rows):
    """The taste of the job to come: its grouping, over all of time."""
    delays = collections.defaultdict(list)
    for row in rows:
        flight = json.loads(row['value'])
        delays[haul(flight)].append(flight['delay_min'])
    print('   flights by haul (computed by this script from the rows read back; there is no processor yet)')
    print(f'   {"haul":8}{"flights":>9}{"mean delay":>12}{"worst":>7}')
    for name in ('short', 'medium', 'long'):
        values = delays[name]
        mean = f'{sum(values) / len(values):.2f}' if values else '-'
        print(f'   {name:8}{len(values):9}{mean:>12}{max(values, default=0):7}')


def show_latency(rows):
    waits = sorted(row['ingested'] - row['timestamp'] for row in rows if row['ingested'] is not None)
    if not waits:
        print('   created -> ingested: the broker does not tell when it took them')
        return
    shown = '  '.join(f'p{share * 100:g} {percentile(waits, share)} ms' for share in (.5, .9, .99))
    print(f'   created -> ingested: {shown}  max {waits[-1]} ms')


def differences(flights, rows, partitions):
    """Yields what is wrong, in words; nothing when each partition holds its rows once, in order."""
    for partition in range(partitions):
        wanted = flights[partition::partitions]
        found = sorted((row['offset'], row['value']) for row in rows if row['partition'] == partition)
        values = [value for _, value in found]
        if values != wanted:
            at = next((i for i, pair in enumerate(zip(values, wanted)) if pair[0] != pair[1]),
                      min(len(values), len(wanted)))
            yield (f'partition {partition}: {len(values)} rows, {len(wanted)} were written; '
                   f'the first difference is at row {at}')
        if [row['offset'] for row in rows if row['partition'] == partition] != [o for o, _ in found]:
            yield f'partition {partition}: rows came out of order'


def check(path, rows_path, partitions):
    flights = flights_of(path)
    with open(rows_path, encoding='utf-8') as file:
        rows = [json.loads(line) for line in file]
    wrong = list(differences(flights, rows, partitions))
    times = collections.Counter(row['value'] for row in rows)
    duplicates = sum(count - 1 for count in times.values())
    missing = sum(1 for flight in flights if times[flight] == 0)
    show_hauls(rows)
    show_latency(rows)
    for line in wrong:
        print(f'   {line}')
    print(f'rows in {len(rows) - duplicates}')
    print(f'duplicates {duplicates}')
    print(f'missing {missing}')
    return 1 if wrong or duplicates or missing else 0


def main(words):
    if len(words) == 4 and words[0] == 'feed':
        try:
            feed(words[1], int(words[2]), float(words[3]))
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1  # The producer tells why it has ended.
        return 0
    if len(words) == 4 and words[0] == 'check':
        return check(words[1], words[2], int(words[3]))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
