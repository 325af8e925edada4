"""Makes seeds for fuzz_batch: the golden record sets behind its choice byte, as a client sends them."""
import gzip, json, pathlib, sys

SEED_BYTES_MAX = 2000  # Larger sets only repeat what these say.
CHOICES = (0x01, 0x63)  # Both put the checksum right; other rules, other windows.

stamp, golden = map(pathlib.Path, sys.argv[1:])
folder = stamp.parent / 'seeds' / 'batch'
folder.mkdir(parents=True, exist_ok=True)
for line in gzip.open(golden / 'batches.jsonl.gz'):
    case = json.loads(line)
    batch = bytearray.fromhex(case['hex'])
    if len(batch) > SEED_BYTES_MAX:
        continue
    if case['kind'] == 'valid':
        batch[:8] = bytes(8)
    for choice in CHOICES:
        (folder / f"{case['name']}-{choice:02x}").write_bytes(bytes([choice]) + batch)
stamp.write_text('')
