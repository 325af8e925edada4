"""What every test with real processes says: what must hold, and what must come to hold in time."""
import time

SECONDS = 60
LOOK_SECONDS = 0.005


def need(condition, text):
    """A claim that must hold; names what was expected."""
    if not condition:
        raise AssertionError(text)


def wait_for(what, claim, seconds=SECONDS):
    """Until `claim` answers True; any other answer is what was seen instead. Only for a state that
    cannot wake us: what can is waited for itself. Nothing else in the tests pauses."""
    deadline = time.monotonic() + seconds
    while (seen := claim()) is not True:
        need(time.monotonic() < deadline, f'{what}: not in {seconds} s; last seen {seen}')
        time.sleep(LOOK_SECONDS)
