"""The rows of the quickstart: how they are written, shown, and checked by other means.

  quickstart_rows.py feed FLIGHTS PARTITIONS SECONDS   lines for `millrace produce --json`, within
      so many seconds; half of them written, says `half` on descriptor 3
  quickstart_rows.py show          a table of the windows that `millrace consume` prints, as they come
  quickstart_rows.py watermark FLIGHTS PARTITIONS      the final watermark, as job progress tells it
  quickstart_rows.py check FLIGHTS FOLDER PARTITIONS   compares FOLDER/flights, delays and late (what
      was read back) with a computation of its own; prints, exits 1 on a difference

Uses Python's own library only, and nothing of Millrace.
"""
import collections
import datetime
import json
import os
import sys
import time

CHUNK_ROWS = 100
WINDOW = datetime.timedelta(hours=3)
DELAY = datetime.timedelta(hours=1)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
SHOWN_LINES = 12


def lines_of(path):
    with open(path, encoding='utf-8') as file:
        return file.read().splitlines()


def feed(path, partitions, seconds):
    """Row i goes to partition i modulo the number of partitions."""
    flights = lines_of(path)
    begin = time.monotonic()
    for index, value in enumerate(flights):
        if index == len(flights) // 2:
            sys.stdout.flush()
            with open(3, 'w', encoding='ascii') as half:
                print('half', file=half)
        if index % CHUNK_ROWS == 0:
            time.sleep(max(0, begin + seconds * index / len(flights) - time.monotonic()))
        print(json.dumps({'partition': index % partitions, 'value': value}))


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))


def window_of(moment):
    return EPOCH + (moment - EPOCH) // WINDOW * WINDOW


def haul_of(flight):
    miles = flight['distance_mi']
    return 'short' if miles < 500 else 'medium' if miles < 1500 else 'long'


def watermark_of(flights, partitions):
    """The least, over partitions, of the greatest event time less the delay."""
    return min(max(time_of(json.loads(line)['scheduled_at']) for line in flights[partition::partitions])
               for partition in range(partitions)) - DELAY


def show():
    """The first windows, then how many more there were."""
    print(f'   {"window":22}{"haul":8}{"flights":>8}{"mean delay":>12}{"worst":>7}', flush=True)
    count = 0
    for line in sys.stdin:
        row = json.loads(json.loads(line)['value'])
        count += 1
        if count <= SHOWN_LINES:
            print(f'   {row["window_start"]:22}{row["haul"]:8}{row["flights"]:8}'
                  f'{row["mean_delay"]:12.2f}{row["worst"]:7}', flush=True)
        elif count % 50 == 0:
            print(f'   … {count} windows, now at {row["window_start"]}', flush=True)


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def show_times(rows, begin, end):
    """`begin` and `end` name headers of the rows, in ms."""
    waits = sorted(int(row['headers'][f'millrace.{end}']) - int(row['headers'][f'millrace.{begin}'])
                   for row in rows)
    shown = '  '.join(f'p{share * 100:g} {percentile(waits, share)} ms' for share in (.5, .9, .99))
    print(f'   {begin} -> {end}: {shown}  max {waits[-1]} ms')


class Check:
    """What must hold between the rows written and the rows read back; `wrong` says what does not."""

    def __init__(self, path, folder, partitions):
        self.flights = lines_of(path)
        self.partitions = partitions
        self.read = {name: [json.loads(line) for line in lines_of(os.path.join(folder, name))]
                     for name in ('flights', 'delays', 'late')}
        self.wrong = []
        self.duplicates = 0
        self.missing = 0
        self.watermark = watermark_of(self.flights, partitions)

    def check_input(self):
        """Each partition holds its rows once, in order."""
        for partition in range(self.partitions):
            wanted = self.flights[partition::self.partitions]
            found = [row['value'] for row in self.read['flights'] if row['partition'] == partition]
            self.duplicates += len(found) - len(set(found))
            self.missing += len(set(wanted) - set(found))
            if found != wanted:
                self.wrong.append(f'partition {partition} of the input: {len(found)} rows, '
                                  f'{len(wanted)} were written, or in another order')

    def late_lines(self):
        """Places in the file of the rows that came too late, each once."""
        places = collections.Counter()
        for row in self.read['late']:
            headers = row['headers']
            offset = int(headers['millrace.offset'])
            place = offset * self.partitions + int(headers['millrace.partition'])
            places[place] += 1
            if place >= len(self.flights) or self.flights[place] != row['value']:
                self.wrong.append(f'late record {row["partition"]}/{row["offset"]} is not the row '
                                  f'that its headers name')
        self.duplicates += sum(places.values()) - len(places)
        return places

    def expected(self, late):
        """Delays by (window, haul) for rows that were in time; and how many rows are still open."""
        groups = collections.defaultdict(list)
        open_rows = 0
        for place, line in enumerate(self.flights):
            flight = json.loads(line)
            window = window_of(time_of(flight['scheduled_at']))
            if window + WINDOW > self.watermark:
                open_rows += 1
                if place in late:
                    self.wrong.append(f'row {place} is called late, but its window is open')
            elif place not in late:
                groups[window, haul_of(flight)].append(flight['delay_min'])
        return groups, open_rows

    def check_windows(self, groups):
        """Every closed window once, with the right numbers, and no other; how many rows they hold."""
        seen = collections.Counter()
        rows = 0
        for record in self.read['delays']:
            row = json.loads(record['value'])
            key = (time_of(row['window_start']), row['haul'])
            seen[key] += 1
            delays = groups.get(key, [])
            rows += row['flights']
            mean = sum(delays) / len(delays) if delays else None
            if (row['flights'] != len(delays) or row['worst'] != max(delays, default=None)
                    or row['mean_delay'] != mean):
                self.wrong.append(f'window {row["window_start"]} {row["haul"]}: {row["flights"]} rows, mean '
                                  f'{row["mean_delay"]}, worst {row["worst"]}; it should be '
                                  f'{len(delays)}, {mean}, {max(delays, default=None)}')
        self.duplicates += sum(seen.values()) - len(seen)
        self.missing += len(set(groups) - set(seen))
        for window, haul in sorted(set(groups) - set(seen)):
            self.wrong.append(f'window {window.isoformat()} {haul} is missing')
        return rows

    def run(self):
        self.check_input()
        late = self.late_lines()
        groups, open_rows = self.expected(late)
        emitted_rows = self.check_windows(groups)
        if emitted_rows + len(late) + open_rows != len(self.flights):
            self.wrong.append(f'{emitted_rows} rows in windows, {len(late)} late and {open_rows} open are not '
                              f'{len(self.flights)}')
        delays = self.read['delays']
        print(f'   every window up to {self.watermark:%Y-%m-%dT%H:%M:%SZ} computed again from the file: '
              + ('all agree' if not self.wrong else 'they differ'))
        if delays:
            show_times(delays, 'created', 'ingested')
            show_times(delays, 'ingested', 'processed')
            show_times(delays, 'created', 'processed')
        for line in self.wrong[:20]:
            print(f'   {line}')
        print(f'rows in {len(self.read["flights"])}')
        print(f'windows out {len(delays)}')
        print(f'late {len(late)}')
        print(f'open {open_rows}')
        print(f'duplicates {self.duplicates}')
        print(f'missing {self.missing}')
        return 1 if self.wrong or self.duplicates or self.missing else 0


def main(words):
    if len(words) == 4 and words[0] == 'feed':
        try:
            feed(words[1], int(words[2]), float(words[3]))
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1  # The producer tells why it has ended.
        return 0
    if words == ['show']:
        show()
        return 0
    if len(words) == 3 and words[0] == 'watermark':
        print(f'{watermark_of(lines_of(words[1]), int(words[2])):%Y-%m-%dT%H:%M:%S.000Z}')
        return 0
    if len(words) == 4 and words[0] == 'check':
        return Check(words[1], words[2], int(words[3])).run()
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
