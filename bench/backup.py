#!/usr/bin/env python3
"""A backup while associations store, its restore on an empty machine, and backups that must be refused.

A round: an archive of so many GB; the rate of storing alone, then beside `mingying backup`. After the last round the
backup is restored (the time is the RTO), every hash computed again, and images compared with what was sent. Then three
broken backups are offered: a flipped byte, a file cut short, a server killed in the middle of a backup.
"""
import contextlib
import glob
import itertools
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import lab
import objects


def fresh(server):
    """An empty data folder and database to restore into."""
    folder = f"{server.dir}/restored"
    shutil.rmtree(folder, ignore_errors=True)
    fresh.count += 1
    return folder, server.postgres.database(f"restored{fresh.count}") if server.postgres else None


fresh.count = 0


def refused(results, server, folder, what):
    into, database = fresh(server)
    done = server.run("restore", folder, data=into, database=database, check=False)
    said = (done.stderr or done.stdout).strip().splitlines()
    results.keep("mingying", "broken backup", what=what, refused=done.returncode != 0, said=said[-1] if said else "")
    shutil.rmtree(into, ignore_errors=True)


def main():
    parser = lab.options(__doc__, studies=4, slices=500)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--associations", type=int, default=4)
    parser.add_argument("--alone", type=float, default=10, help="seconds of storing without a backup")
    chosen = parser.parse_args()
    results = lab.Results("backup", chosen)
    slices = objects.Slices(lab.ct(chosen), 400)
    of_copy = len(slices.sets)
    seeds = int(chosen.gigabytes * 1e9 / sum(map(len, slices.sets)) * of_copy) + 1
    every = lambda first: (slices(n // of_copy, n) for n in itertools.count(first))
    for number in range(chosen.rounds):
        server = lab.Mingying(chosen, {"images.sibling_size": 0})
        server.start()
        folder = os.path.join(lab.HOME, "backup")
        shutil.rmtree(folder, ignore_errors=True)
        objects.send(server, itertools.islice(every(0), seeds), chosen.associations)
        senders = objects.Senders(server, every(seeds), chosen.associations).start()
        time.sleep(chosen.alone)
        begun = time.time()
        server.run("backup", folder)
        ended = time.time()
        senders.stop()
        alone, beside = senders.rate(begun - chosen.alone, begun), senders.rate(begun, ended)
        results.keep("mingying", "storing", img_s_alone=round(alone, 1), img_s_beside=round(beside, 1), kept=round(beside / alone, 3),
                     backup_s=round(ended - begun, 1), archive_gb=round(lab.disk_bytes(f"{server.data}/blobs") / 1e9, 2),
                     refused=len(senders.refused))
        if number + 1 < chosen.rounds:
            server.stop()
    half = f"{folder}-half"
    shutil.rmtree(half, ignore_errors=True)
    command = threading.Thread(target=lambda: server.run("backup", half, check=False))
    command.start()
    # In the middle: the first pack is being copied.
    while command.is_alive() and not glob.glob(f"{half}/packs/*"):
        time.sleep(0.005)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    command.join()
    # The machine is lost; only the database cluster, empty but for a new database, stays for the restores.
    shutil.rmtree(server.data)
    restored, database = fresh(server)
    begun = time.time()
    server.run("restore", folder, data=restored, database=database)
    restore_s = time.time() - begun
    server.run("verify", data=restored, database=database)
    compare(server, slices, seeds, of_copy, restored, database)
    results.keep("mingying", "restore", rto_s=round(restore_s, 1), gb=round(lab.disk_bytes(f"{restored}/blobs") / 1e9, 2), equal=True)
    shutil.rmtree(restored)
    refused(results, server, half, "killed half-way")
    shutil.rmtree(half)
    pack = max((path for path in glob.glob(f"{folder}/**/*", recursive=True) if os.path.isfile(path)), key=os.path.getsize)
    with open(pack, "r+b") as file:
        file.seek(os.path.getsize(pack) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x10]))
    refused(results, server, folder, "a flipped bit")
    os.truncate(pack, os.path.getsize(pack) - 1)
    refused(results, server, folder, "cut short")
    shutil.rmtree(folder)
    if server.postgres:
        server.postgres.stop()
    server.wipe()
    results.table("img_s_alone", "img_s_beside", "kept", "backup_s", "rto_s", "gb")
    for row in results.rows[("broken backup", "mingying")]:
        print(f"{row['what']}: {'refused' if row['refused'] else 'TAKEN'}: {row['said']}")


def compare(server, slices, seeds, of_copy, restored, database):
    """Images of before the backup, as the restored installation hands them out, with what was sent."""
    log = open(f"{server.dir}/server.log", "a")
    environment = server.environment | ({"MINGYING_DATABASE": database} if database else {})
    process = subprocess.Popen([os.environ["MINGYING_BIN"], "serve", "--config", f"{server.dir}/config.toml", "--data-dir", restored,
                                *server.listen], env=environment, stdout=log, stderr=log)
    try:
        until = time.time() + 120
        while time.time() < until:
            with contextlib.suppress(OSError):
                lab.get(server, "/health/ready", "*/*")
                break
            time.sleep(0.1)
        for n in random.Random(1).sample(range(seeds), min(seeds, 200)):
            _, uid, (head, pixels) = slices(n // of_copy, n)
            found = lab.json.loads(lab.get(server, f"/dicom-web/instances?SOPInstanceUID={uid}", "application/dicom+json"))
            study, series = (found[0][tag]["Value"][0] for tag in ("0020000D", "0020000E"))
            body = lab.get(server, f"/dicom-web/studies/{study}/series/{series}/instances/{uid}", "application/dicom; transfer-syntax=*")
            if body[144 + int.from_bytes(body[140:144], "little"):] != head + pixels:
                raise SystemExit(f"{uid} differs after the restore")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


if __name__ == "__main__":
    main()
