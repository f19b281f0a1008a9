#!/usr/bin/env python3
"""Latency of each kind of query by QIDO-RS and C-FIND in an archive of many small studies.

Without --large beside Orthanc with the same studies. With --large Mingying alone with a million: how fast it fills, how
long it takes to start, what it takes while idle, and how fast it stores beside an empty installation. A large archive is
kept in BENCH_HOME and filled further when the run was interrupted.
"""
import contextlib
import http.client
import json
import os
import random
import shutil
import struct
import time
from urllib.parse import urlencode

import lab
import objects
import scu

TAGS = {"StudyDate": 0x00080020, "AccessionNumber": 0x00080050, "ModalitiesInStudy": 0x00080061, "StudyDescription": 0x00081030,
        "PatientName": 0x00100010, "PatientID": 0x00100020, "StudyInstanceUID": 0x0020000D}
KINDS = {
    "patient id": lambda one: {"PatientID": one["patient"]},
    "accession number": lambda one: {"AccessionNumber": one["accession"]},
    "study uid": lambda one: {"StudyInstanceUID": one["study"]},
    "name prefix": lambda one: {"PatientName": one["latin"][:-1] + "*"},
    "pinyin": lambda one: {"PatientName": one["latin"] + "*"},
    "characters": lambda one: {"PatientName": one["chinese"][:-1] + "*"},
    "surname": lambda one: {"PatientName": one["latin"].split("^")[0] + "^*"},
    "30 days and CT": lambda one: {"StudyDate": days(one["date"], 30), "ModalitiesInStudy": "CT"},
    "day and CT": lambda one: {"StudyDate": one["date"], "ModalitiesInStudy": "CT"},
    "no key": lambda one: {},
}
# By C-FIND, which knows no limit, only what a person would look through.
FIND = [kind for kind in KINDS if kind not in ("surname", "30 days and CT", "no key")]


def days(first, count):
    number = (int(first[:4]) - 2020) * 336 + (int(first[4:6]) - 1) * 28 + int(first[6:]) - 1
    return f"{first}-{objects.day(number + count - 1)}"


def qido(server):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=300)

    def ask(keys):
        path = "/dicom-web/studies?" + urlencode({**keys, "limit": 50}, safe="*^")
        connection.request("GET", path, headers={**server.headers, "Accept": "application/dicom+json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 204):
            raise SystemExit(f"{server.label}: {answer.status} {body[:200]!r}")
        return body

    return ask, lambda body: len(json.loads(body)) if body else 0, connection.close


def cfind(server):
    association = scu.Association(server, [(scu.STUDY_ROOT_FIND, scu.IMPLICIT)])

    def ask(keys):
        values = {0x00080005: b"ISO_IR 192", 0x00080052: b"STUDY "} | {tag: b"" for tag in TAGS.values()}
        for name, value in keys.items():
            values[TAGS[name]] = scu.even(value.encode(), b"\0" if name == "StudyInstanceUID" else b" ")
        return association.find(b"".join(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
                                         for tag, value in sorted(values.items())))

    return ask, lambda found: found, association.release


def measure(results, servers, tiny, chosen):
    dice = random.Random(5)
    for number in range(chosen.rounds):
        for protocol, connect, kinds in (("QIDO", qido, list(KINDS)), ("C-FIND", cfind, FIND)):
            for kind in kinds:
                wanted = [tiny(dice.randrange(tiny.total)) for _ in range(chosen.queries)]
                if kind == "pinyin":
                    # Those whose name came without letters.
                    wanted = [one for one in wanted if one["name"] == one["chinese"]]
                for server in servers:
                    ask, count, close = connect(server)
                    took, hits, begun = [], 0, time.time()
                    used = lab.cpu(server.pids)
                    for one in wanted:
                        keys = KINDS[kind](one)
                        start = time.perf_counter()
                        answer = ask(keys)
                        took.append((time.perf_counter() - start) * 1000)
                        hits += count(answer)
                        if time.time() - begun > 60:
                            break
                    used = lab.cpu(server.pids) - used
                    close()
                    results.keep(server.label, f"{protocol} {kind}", p50_ms=round(lab.percentile(took, 0.5), 2),
                                 p99_ms=round(lab.percentile(took, 0.99), 2), hits=round(hits / len(took), 1),
                                 cpu_ms=round(used / len(took) * 1000, 2), queries=len(took))


def fill(results, server, tiny, chosen):
    """To the end from where an earlier run stopped."""
    mark = f"{server.dir}/filled"
    filled = int(open(mark).read()) if os.path.exists(mark) else 0
    step = max(1, tiny.total // 20)
    while filled < tiny.total:
        until = min(tiny.total, filled + step)
        row = objects.stow_tiny(server, tiny, range(filled, until), clients=16, batch=100)
        results.keep("mingying", "fill", studies=until, **row)
        filled = until
        with open(mark, "w") as file:
            file.write(str(filled))


def rebuilt(results, server, tiny):
    """The packs of the archive that was filled on SQLite, and tables made from them."""
    source = os.path.join(lab.HOME, "large-sqlite")
    if open(f"{source}/filled").read() != str(tiny.total):
        raise SystemExit("fill the archive on SQLite first")
    server.stop(keep=True)
    shutil.rmtree(f"{server.data}/blobs")
    shutil.copytree(f"{source}/data/blobs", f"{server.data}/blobs")
    if server.postgres:
        server.postgres.start()
    begun = time.time()
    server.run("import", "--rebuild")
    wall = time.time() - begun
    if server.postgres:
        server.postgres.stop()
    server.start(keep=True)
    results.keep("mingying", "rebuild", studies=tiny.total, img_s=round(tiny.total / wall, 1), wall_s=round(wall, 1))
    with open(f"{server.dir}/filled", "w") as file:
        file.write(str(tiny.total))


def starts(results, server, chosen):
    """Start out of the page cache, and what it takes when nothing happens."""
    for _ in range(chosen.rounds):
        server.stop(keep=True)
        lab.forget_pages(server.dir)
        server.start(keep=True)
        time.sleep(chosen.idle)
        results.keep("mingying", "start", start_s=round(server.start_seconds, 2), idle_rss_mb=round(lab.rss([server.process.pid]) / 1e6, 1))


def growth(results, full, chosen):
    """The same objects into the full archive and into an empty one in turn: tiny ones by STOW-RS, CT by C-STORE."""
    slices = objects.Slices(lab.ct(chosen), 250)
    # New objects also when the archive was kept from an earlier run.
    first = int(time.time()) % 10 ** 8
    for number in range(chosen.rounds):
        empty = lab.Mingying(chosen, {"images.sibling_size": 0}, number=1)
        empty.label = "empty archive"
        with lab.running(empty):
            for server in ((full, empty) if number % 2 else (empty, full)):
                tiny = objects.Tiny(chosen.added, first + number)
                results.keep(server.label, "store tiny, STOW-RS", **objects.stow_tiny(server, tiny, range(chosen.added)))
                copies = (slices((first + number) % 800, n) for n in range(len(slices.sets) * 4))
                unique = {uid: (sop_class, uid, data) for sop_class, uid, data in copies}.values()
                results.keep(server.label, "store CT, 4 associations", **objects.send(server, unique))


def main():
    parser = lab.options(__doc__, studies=4, slices=500)
    parser.add_argument("--archive", type=int, help="studies in the archive; default 20,000, with --large 1,000,000")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--rebuilt", action="store_true",
                        help="with --large --postgres: the tables from the packs of the SQLite run, instead of storing everything again")
    parser.add_argument("--queries", type=int, default=200, help="of each kind in a round")
    parser.add_argument("--added", type=int, default=10000, help="tiny objects of a round of storing")
    parser.add_argument("--idle", type=float, default=10, help="seconds of quiet before the memory is read")
    chosen = parser.parse_args()
    chosen.archive = chosen.archive or (1000000 if chosen.large else 20000)
    tiny = objects.Tiny(chosen.archive)
    results = lab.Results("query large" if chosen.large else "query", chosen)
    settings = {"images.sibling_size": 0}
    if chosen.large:
        folder = os.path.join(lab.HOME, f"large-{results.engine}")
        mingying = lab.Mingying(chosen, settings, folder=folder)
        mingying.start(keep=os.path.exists(f"{folder}/token"))
        try:
            if chosen.rebuilt and not os.path.exists(f"{folder}/filled"):
                rebuilt(results, mingying, tiny)
            fill(results, mingying, tiny, chosen)
            starts(results, mingying, chosen)
            measure(results, [mingying], tiny, chosen)
            growth(results, mingying, chosen)
        finally:
            mingying.stop(keep=True)
    else:
        with contextlib.ExitStack() as stack:
            orthanc = stack.enter_context(lab.running(lab.Peer("orthanc-pg" if chosen.postgres else "orthanc-default")))
            orthanc.label = "orthanc"
            mingying = stack.enter_context(lab.running(lab.Mingying(chosen, settings)))
            for server, clients in ((mingying, 4), (orthanc, 1)):
                row = objects.stow_tiny(server, tiny, range(tiny.total), clients, batch=50)
                results.keep(server.label, "fill", **row)
            measure(results, [orthanc, mingying], tiny, chosen)
    results.table("p50_ms", "p99_ms", "hits", "cpu_ms", "img_s", "start_s", "idle_rss_mb",
                  against=["orthanc"], key="p99_ms")
    full, empty = (results.rows.get(("store CT, 4 associations", label), []) for label in ("mingying", "empty archive"))
    if full and empty:
        ratio = lab.statistics.median(f["img_s"] / e["img_s"] for f, e in zip(full, empty))
        print(f"{tiny.total} studies / empty archive, CT by 4 associations: {ratio:.2f}")


if __name__ == "__main__":
    main()
