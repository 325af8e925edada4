"""A processor dies at each named point of an epoch; what is committed must not know.

Per point: a job over rows half of which are written, a second processor that kills itself at the
point, the other half, and a comparison with sums made by other means.
"""
import os
import pathlib
import re
import shutil
import sys
import tempfile

from dev_process import Dev
from job_rig import Processor, Rows, check_output, need, run, sql_of, wait_watermark

ROWS = 1200
PARTITIONS = 4
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def points():
    """Those of the header, so that none is forgotten."""
    text = (SOURCE / 'processor/task/task_point.h').read_text()
    names = re.findall(r'X\([A-Z_]+, "([a-z_]+)"\)', text)
    need(len(names) >= 8, f'only {names} are found')
    return names


def run_last_point(directory, bootstrap, number, point):
    """The point of a stop: whoever takes the task over must find it stopped, and say so."""
    job = f'p{number}'
    rows = Rows(ROWS, PARTITIONS, number)
    run('topic', 'create', f'{job}-in', '--partitions', PARTITIONS)
    with Processor(directory / f'{job}-a', bootstrap) as first:
        first.wait_ready()
        with Processor(directory / f'{job}-b', bootstrap, kill_at=point) as second:
            second.wait_ready()
            run('sql', '-c', sql_of(job))
            run('produce', f'{job}-in', '--json', stdin=rows.lines())
            wait_watermark(job, rows)
            run('job', 'stop', job)
            second.wait_killed()
        windows, late = check_output(job, rows)
        print(f'{point}: {windows} windows, {late} late')
        first.stop()


def run_point(directory, bootstrap, number, point):
    job = f'p{number}'
    rows = Rows(ROWS, PARTITIONS, number)
    run('topic', 'create', f'{job}-in', '--partitions', PARTITIONS)
    with Processor(directory / f'{job}-a', bootstrap) as first:
        first.wait_ready()
        run('sql', '-c', sql_of(job))
        run('produce', f'{job}-in', '--json', stdin=rows.lines(0, ROWS // 3))
        wait_watermark(job, rows, ROWS // 3)  # From here on there is state to be restored.
        with Processor(directory / f'{job}-b', bootstrap, kill_at=f'{point}:2') as second:
            second.wait_ready()
            run('produce', f'{job}-in', '--json', stdin=rows.lines(ROWS // 3, 2 * ROWS // 3))
            # A point of the start comes with each task; one of an epoch with the rows.
            second.wait_killed()
        run('produce', f'{job}-in', '--json', stdin=rows.lines(2 * ROWS // 3))
        wait_watermark(job, rows)
        windows, late = check_output(job, rows)
        run('job', 'stop', job)
        print(f'{point}: {windows} windows, {late} late')
        first.stop()


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix='millrace-'))
    with Dev(directory / 'dev', '--brokers', 3, '--processors', 0, '--port', 0) as dev:
        bootstrap = dev.wait_ready()
        os.environ['MILLRACE_BOOTSTRAP'] = bootstrap
        wanted = sys.argv[1:] or points()
        for number, point in enumerate(wanted):
            play = run_last_point if point == 'final_committed' else run_point
            play(directory, bootstrap, number, point)
        need(dev.terminate() == 0, f'the cluster did not stop in order: {dev.seen}')
    shutil.rmtree(directory)


if __name__ == '__main__':
    sys.exit(main())
