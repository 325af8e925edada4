"""Makes seeds for fuzz_log_files: each file of the golden data directory behind its format's byte."""
import pathlib, struct, sys, tarfile

stamp, golden = map(pathlib.Path, sys.argv[1:])
folder = stamp.parent / 'seeds' / 'log_files'
folder.mkdir(parents=True, exist_ok=True)
FORMATS = {'.index': 0, '.timeindex': 1, '.txnindex': 2, 'leader-epoch-checkpoint': 4,
           '.snapshot': 5, 'partition.metadata': 6, 'meta.properties': 6, '.log': 8,
           'offset-checkpoint': 9}

def format_of(name):
    return next((FORMATS[end] for end in FORMATS if name.endswith(end)), None)

def seed(name, number, content):
    (folder / name.replace('/', '_')).write_bytes(bytes([number]) + content)

with tarfile.open(golden / 'datadir' / 'data.tar.gz') as archive:
    for member in archive.getmembers():
        name = member.name.removeprefix('./')
        if not member.isfile() or format_of(name) is None:
            continue
        content = archive.extractfile(member).read()
        # Whole segments are slow to check again and again: a few batches say as much.
        seed(name, format_of(name), content[:4000] if name.endswith('.log') else content)
        seed(name + '.name', 7, name.split('/')[-1].encode())
        seed(name + '.folder', 7, name.split('/')[0].encode())
stamp.write_text('')
