#!/usr/bin/env python3
"""Interleaved ingest: Orthanc, Mingying, a null sink, dd and an append + fdatasync loop, on the same data.

By C-STORE (DCMTK's storescu) or by STOW-RS; the index of both servers in SQLite or in PostgreSQL. Prints one JSON
line a run, then medians and ratios.
"""
import argparse
import glob
import http.client
import json
import os
import queue
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
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


def floor_loopback(size, count):
    """Bytes through a loopback socket that nobody keeps: what STOW-RS allows at best."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def drain():
            connection, _ = listener.accept()
            while connection.recv(1 << 20):
                pass
            connection.sendall(b"x")

        thread = threading.Thread(target=drain)
        thread.start()
        block = bytes(1 << 20)
        start = time.time()
        with socket.create_connection(listener.getsockname()) as out:
            for _ in range(size >> 20):
                out.sendall(block)
            out.shutdown(socket.SHUT_WR)
            out.recv(1)
        thread.join()
    return count / (time.time() - start)


class Postgres:
    """A durable cluster of its own, set as servers.sh sets Orthanc's."""

    port = 15498

    def __init__(self):
        self.dir = os.path.join(HOME, "run", "mingying-pg")
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]

    def su(self, command):
        subprocess.run(["su", "postgres", "-c", command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self):
        self.wipe()
        os.makedirs(self.dir)
        shutil.chown(self.dir, "postgres")
        self.su(f"{self.bin}/initdb -D {self.dir}/pg -A trust -E UTF8 --locale=C.UTF-8")
        self.su(f"{self.bin}/pg_ctl -D {self.dir}/pg -w -l {self.dir}/log -o '-p {self.port} -c listen_addresses=127.0.0.1 "
                f"-c unix_socket_directories={self.dir} -c shared_buffers=512MB -c synchronous_commit=on' start")
        self.su(f"psql -h 127.0.0.1 -p {self.port} -c \"create database mingying encoding 'UTF8' lc_collate 'C' lc_ctype 'C' "
                "template template0\"")
        self.pid = open(f"{self.dir}/pg/postmaster.pid").readline().strip()
        return f"postgres://postgres@127.0.0.1:{self.port}/mingying"

    def stop(self):
        self.su(f"{self.bin}/pg_ctl -D {self.dir}/pg -m fast stop")
        self.wipe()

    def wipe(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Mingying:
    """The server under test, with an empty data folder at each start."""

    url = "http://127.0.0.1:18480"

    def __init__(self, postgres):
        self.dir = os.path.join(HOME, "run", "mingying")
        self.postgres = Postgres() if postgres else None
        self.token = None

    def run(self, *arguments):
        return subprocess.run([os.environ["MINGYING_BIN"], *arguments, "--data-dir", self.dir], check=True,
                              env=self.environment, capture_output=True, text=True).stdout

    def start(self):
        """Process ids to meter."""
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.environment = dict(os.environ)
        if self.postgres:
            self.environment["MINGYING_DATABASE"] = self.postgres.start()
        self.log = open(os.path.join(HOME, "mingying.log"), "w")
        self.process = subprocess.Popen(
            [os.environ["MINGYING_BIN"], "serve", "--data-dir", self.dir, "--http", "127.0.0.1:18480",
             "--dimse", "127.0.0.1:11480", "--hl7", "127.0.0.1:12480"],
            env=self.environment, stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                if urllib.request.urlopen(f"{self.url}/health/ready", timeout=1).status == 200:
                    self.run("peer", "add", "--aet", "BENCH", "--host", "127.0.0.1", "--port", "11499")
                    self.token = self.run("user", "token", "BENCH").split()[-1]
                    return [str(self.process.pid), *([self.postgres.pid] if self.postgres else [])]
            except OSError:
                time.sleep(0.05)
        raise SystemExit("mingying did not start: see mingying.log")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if self.postgres:
            self.postgres.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        if code != 0:
            raise SystemExit(f"mingying ended with {code}")


def stow(port, token, files, clients, pids, batch=50):
    """Multipart batches over `clients` connections that stay open."""
    from common import ProcMeter
    jobs = queue.Queue()
    for i in range(0, len(files), batch):
        jobs.put(files[i:i + batch])
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=BNDRY', "Accept": "application/dicom+json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    faults = []

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        while True:
            try:
                names = jobs.get_nowait()
            except queue.Empty:
                return
            parts = [b"--BNDRY\r\nContent-Type: application/dicom\r\n\r\n" + open(f, "rb").read() + b"\r\n" for f in names]
            connection.request("POST", "/dicom-web/studies", b"".join(parts) + b"--BNDRY--\r\n", headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or len(json.loads(body).get("00081199", {}).get("Value", [])) != len(names):
                faults.append(f"{answer.status} {body[:200]!r}")

    with ProcMeter(pids) as meter:
        threads = [threading.Thread(target=work) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"img_s": round(len(files) / meter.wall, 1), "srv_cpu_per_1000": round(meter.cpu / len(files) * 1000, 2),
            "peak_rss_mb": round(meter.peak / 1e6, 1), "rc": [len(faults)], "err": faults[:3]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4], help="associations or HTTP connections")
    parser.add_argument("--data")
    parser.add_argument("--via", choices=["dimse", "stow"], default="dimse")
    parser.add_argument("--postgres", action="store_true", help="the index of both servers in PostgreSQL")
    parser.add_argument("--peers", nargs="*", help="kinds of servers.sh; default orthanc-default, or orthanc-pg")
    options = parser.parse_args()
    sys.path.insert(0, options.tools)
    data = options.data or os.path.join(HOME, f"ct-{options.studies}x{options.slices}")
    if not os.path.isdir(data):
        subprocess.run([sys.executable, f"{options.tools}/gen_ct.py", data, "--studies", str(options.studies),
                        "--slices", str(options.slices)], check=True)
    files = sorted(glob.glob(f"{data}/*/*.dcm"))
    size = sum(map(os.path.getsize, files))
    scratch = os.path.join(HOME, "scratch")
    os.makedirs(scratch, exist_ok=True)
    servers = f"{options.tools}/servers.sh"
    peers = options.peers or (["orthanc-pg"] if options.postgres else ["orthanc-default"])
    dicom_ports = {"orthanc-default": 11401, "orthanc-tuned": 11402, "orthanc-pg": 11403, "orthanc-pgtuned": 11404}

    def store(port, aet, pids, clients, label):
        return run_json([sys.executable, f"{options.tools}/bench_store.py", "--port", str(port), "--aet", aet, "--dir", data,
                         "--assoc", str(clients), "--pdu", "131072", "--label", label, "--pid", *pids])

    def peer(kind, clients):
        subprocess.run(["bash", servers, "wipe", kind], check=True)
        pids = subprocess.run(["bash", servers, "start", kind], check=True, capture_output=True, text=True).stdout.split()
        try:
            if kind == "sink":
                return store(11412, "SINK", pids, clients, kind)
            port = dicom_ports[kind]
            if options.via == "stow":
                return stow(port + 7000, None, files, clients, pids)
            return store(port, "ORTHANC", pids, clients, kind)
        finally:
            subprocess.run(["bash", servers, "stop", kind], check=True)
            subprocess.run(["bash", servers, "wipe", kind], check=True)

    mingying = Mingying(options.postgres)

    def ours(clients):
        pids = mingying.start()
        try:
            if options.via == "stow":
                return stow(18480, mingying.token, files, clients, pids)
            return store(11480, "MINGYING", pids, clients, "mingying")
        finally:
            mingying.stop()

    results = {}

    def keep(label, clients, row):
        print(json.dumps({"what": f"ingest by {options.via}", "label": label, "clients": clients, **row}), flush=True)
        results.setdefault((label, clients), []).append(row)

    for _ in range(options.rounds):
        keep("dd", 0, {"img_s": round(floor_dd(size, len(files), scratch), 1)})
        keep("append+fdatasync", 0, {"img_s": round(floor_append(files, scratch), 1)})
        if options.via == "stow":
            keep("loopback", 0, {"img_s": round(floor_loopback(size, len(files)), 1)})
        for clients in options.clients:
            for label in [*(["sink"] if options.via == "dimse" else []), *peers, "mingying"]:
                row = ours(clients) if label == "mingying" else peer(label, clients)
                keep(label, clients, {k: row[k] for k in ("img_s", "srv_cpu_per_1000", "peak_rss_mb", "rc")})
                if any(row["rc"]):
                    print(f"{label}: {row['err']}", file=sys.stderr)
    print(f"\n{'':22} {'clients':>7} {'img/s':>8} {'CPU s/1k':>9} {'RSS MB':>7}")
    for (label, clients), rows in results.items():
        middle = lambda key: statistics.median(r.get(key, 0) for r in rows)
        print(f"{label:22} {clients:>7} {middle('img_s'):>8.1f} {middle('srv_cpu_per_1000'):>9.2f} {middle('peak_rss_mb'):>7.1f}")
    floors = [label for label in ("dd", "append+fdatasync", "sink", "loopback") if any(key[0] == label for key in results)]
    for clients in options.clients:
        for other in [*peers, *floors]:
            rows = results.get((other, clients)) or results[(other, 0)]
            pairs = zip(results[("mingying", clients)], rows)
            print(f"mingying / {other} at {clients}: {statistics.median(m['img_s'] / o['img_s'] for m, o in pairs):.2f}")


if __name__ == "__main__":
    main()
