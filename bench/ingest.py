#!/usr/bin/env python3
"""Interleaved ingest: Orthanc default, Mingying, a null sink, dd and an append + fdatasync loop, on the same data.

Prints one JSON line a run, then medians and ratios.
"""
import argparse
import glob
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

HOME = os.environ["BENCH_HOME"]


def floor_append(files, scratch):
    """One file, one append and one fdatasync per image: what a synchronous sender allows at best."""
    path = os.path.join(scratch, "append")
    data = [open(f, "rb").read() for f in files]
    start = time.time()
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for image in data:
        os.write(fd, image)
        os.fdatasync(fd)
    os.close(fd)
    wall = time.time() - start
    os.unlink(path)
    return len(data) / wall


def floor_dd(size, count, scratch):
    start = time.time()
    subprocess.run(["dd", "if=/dev/zero", f"of={scratch}/dd", "bs=1M", f"count={size >> 20}", "conv=fsync"],
                   check=True, stderr=subprocess.DEVNULL)
    wall = time.time() - start
    os.unlink(f"{scratch}/dd")
    return count / wall


def run_json(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


class Mingying:
    def __init__(self, database):
        self.dir = os.path.join(HOME, "run", "mingying")
        self.database = database

    def start(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        environment = dict(os.environ)
        if self.database:
            environment["MINGYING_DATABASE"] = self.database
        self.log = open(os.path.join(HOME, "mingying.log"), "w")
        self.process = subprocess.Popen(
            [os.environ["MINGYING_BIN"], "serve", "--data-dir", self.dir, "--http", "127.0.0.1:18480",
             "--dimse", "127.0.0.1:11480", "--hl7", "127.0.0.1:12480"],
            env=environment, stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                if urllib.request.urlopen("http://127.0.0.1:18480/health/ready", timeout=1).status == 200:
                    subprocess.run([os.environ["MINGYING_BIN"], "peer", "add", "--data-dir", self.dir, "--aet", "BENCH",
                                    "--host", "127.0.0.1", "--port", "11499"], check=True, env=environment,
                                   stdout=subprocess.DEVNULL)
                    return str(self.process.pid)
            except OSError:
                time.sleep(0.05)
        raise SystemExit("mingying did not start: see mingying.log")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if code != 0:
            raise SystemExit(f"mingying ended with {code}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--assoc", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--data")
    parser.add_argument("--database", default="", help="postgres URL; default SQLite")
    options = parser.parse_args()
    data = options.data or os.path.join(HOME, f"ct-{options.studies}x{options.slices}")
    if not os.path.isdir(data):
        subprocess.run([sys.executable, f"{options.tools}/gen_ct.py", data, "--studies", str(options.studies),
                        "--slices", str(options.slices)], check=True)
    files = sorted(glob.glob(f"{data}/*/*"))
    size = sum(map(os.path.getsize, files))
    scratch = os.path.join(HOME, "scratch")
    os.makedirs(scratch, exist_ok=True)
    servers = f"{options.tools}/servers.sh"

    def store(port, aet, pids, associations, label):
        return run_json([sys.executable, f"{options.tools}/bench_store.py", "--port", str(port), "--aet", aet, "--dir", data,
                         "--assoc", str(associations), "--pdu", "131072", "--label", label, "--pid", *pids])

    def peer(kind, port, aet, associations):
        subprocess.run(["bash", servers, "wipe", kind], check=True)
        pids = subprocess.run(["bash", servers, "start", kind], check=True, capture_output=True, text=True).stdout.split()
        try:
            return store(port, aet, pids, associations, kind)
        finally:
            subprocess.run(["bash", servers, "stop", kind], check=True)
            subprocess.run(["bash", servers, "wipe", kind], check=True)

    mingying = Mingying(options.database)
    results = {}

    def keep(label, associations, row):
        print(json.dumps({"what": "ingest", "label": label, "assoc": associations, **row}), flush=True)
        results.setdefault((label, associations), []).append(row)

    for _ in range(options.rounds):
        keep("dd", 0, {"img_s": round(floor_dd(size, len(files), scratch), 1)})
        keep("append+fdatasync", 0, {"img_s": round(floor_append(files, scratch), 1)})
        for associations in options.assoc:
            for label in ("sink", "orthanc-default", "mingying"):
                if label == "sink":
                    row = peer("sink", 11412, "SINK", associations)
                elif label == "orthanc-default":
                    row = peer("orthanc-default", 11401, "ORTHANC", associations)
                else:
                    pid = mingying.start()
                    try:
                        row = store(11480, "MINGYING", [pid], associations, "mingying")
                    finally:
                        mingying.stop()
                keep(label, associations, {k: row[k] for k in ("img_s", "srv_cpu_per_1000", "peak_rss_mb", "rc")})
                if any(row["rc"]):
                    print(f"{label}: {row['err']}", file=sys.stderr)
    print(f"\n{'':22} {'assoc':>5} {'img/s':>8} {'CPU s/1k':>9} {'RSS MB':>7}")
    for (label, associations), rows in results.items():
        middle = lambda key: statistics.median(r.get(key, 0) for r in rows)
        print(f"{label:22} {associations:>5} {middle('img_s'):>8.1f} {middle('srv_cpu_per_1000'):>9.2f} {middle('peak_rss_mb'):>7.1f}")
    for associations in options.assoc:
        pairs = zip(results[("mingying", associations)], results[("orthanc-default", associations)])
        print(f"mingying / orthanc-default at {associations}: {statistics.median(m['img_s'] / o['img_s'] for m, o in pairs):.2f}")


if __name__ == "__main__":
    main()
