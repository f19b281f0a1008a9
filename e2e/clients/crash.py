#!/usr/bin/env python3
"""crash.py BINARY [--cycles 20]: kills the server with SIGKILL while 4 associations store images, restarts it, and checks
that every acknowledged image is there byte for byte, that `verify` finds no row without its blob and no blob counted
twice, and that what is queryable is what is stored. At the end the tables are made again from the packs, and every query
must have the same answers. Exits 1 on the first difference."""
import argparse
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import requests

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from make_images import slices  # noqa: E402


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def dataset(data):
    """The bytes after the file meta group: what the association carried."""
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length:]


class Server:
    def __init__(self, binary, folder, database):
        self.binary, self.folder, self.database = binary, folder, database
        self.http, self.dimse, self.hl7 = free_port(), free_port(), free_port()
        self.environment = dict(os.environ)
        if database:
            self.environment["MINGYING_DATABASE"] = database
        self.log = open(os.path.join(folder, "..", "server.log"), "a")

    def run(self, *words):
        return subprocess.run([self.binary, *words], env=self.environment, check=True, capture_output=True, text=True).stdout

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "serve", "--data-dir", self.folder, "--http", f"127.0.0.1:{self.http}",
             "--dimse", f"127.0.0.1:{self.dimse}", "--hl7", f"127.0.0.1:{self.hl7}"],
            env=self.environment, stdout=self.log, stderr=self.log)
        for _ in range(1200):
            try:
                if requests.get(f"http://127.0.0.1:{self.http}/health/ready", timeout=1).status_code == 200:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise SystemExit("the server did not start")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60) != 0:
            raise SystemExit("the server did not end cleanly")


def answers(server, headers):
    """Every study, series and image that a query finds, with all its attributes, in one order."""
    found = []
    for level in ("studies", "series", "instances"):
        offset = 0
        while True:
            answer = requests.get(f"http://127.0.0.1:{server.http}/dicom-web/{level}", timeout=60,
                                  params={"limit": 500, "offset": offset, "includefield": "all"},
                                  headers=headers | {"Accept": "application/dicom+json"})
            rows = answer.json() if answer.status_code == 200 else []
            if not rows:
                break
            found += [json.dumps(row, sort_keys=True) for row in rows]
            offset += len(rows)
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    print(f"seed {options.seed}")
    top = tempfile.mkdtemp(prefix="mingying-crash-")
    folder = os.path.join(top, "data")
    os.makedirs(folder)
    server = Server(options.binary, folder, options.database)
    server.start()
    server.run("peer", "add", "--data-dir", folder, "--aet", "CRASHTEST", "--host", "127.0.0.1", "--port", "11113")
    token = server.run("user", "token", "CRASHTEST", "--data-dir", folder).strip().split()[-1]
    headers = {"Authorization": f"Bearer {token}"}
    acked_total = 0
    known = {}
    for cycle in range(options.cycles):
        groups = []
        for group in range(4):
            files = slices(os.path.join(top, f"c{cycle}-{group}"), options.images, size=dice.choice([64, 128]), seed=cycle * 4 + group)
            groups.append(files)
            known.update({os.path.basename(f): f for f in files})
        logs = [os.path.join(top, f"acked-{cycle}-{g}") for g in range(4)]
        clients = [subprocess.Popen([sys.executable, os.path.join(HERE, "store_acked.py"), "127.0.0.1", str(server.dimse), log, *files],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for log, files in zip(logs, groups)]
        # The moment counts from the first acknowledgement: clients take a while to start.
        for _ in range(600):
            if any(os.path.exists(log) and os.path.getsize(log) for log in logs):
                break
            time.sleep(0.05)
        time.sleep(dice.uniform(0.0, 2.5))
        server.kill()
        for client in clients:
            client.wait(60)
        acked = [line.strip() for log in logs if os.path.exists(log) for line in open(log)]
        server.start()
        for uid in acked:
            path = known[uid]
            answer = requests.get(f"http://127.0.0.1:{server.http}/dicom-web/instances", params={"SOPInstanceUID": uid},
                                  headers=headers | {"Accept": "application/dicom+json"}, timeout=30)
            rows = answer.json() if answer.status_code == 200 else []
            if len(rows) != 1:
                raise SystemExit(f"cycle {cycle}: {uid} is found {len(rows)} times")
            study = rows[0]["0020000D"]["Value"][0]
            series = rows[0]["0020000E"]["Value"][0]
            answer = requests.get(f"http://127.0.0.1:{server.http}/dicom-web/studies/{study}/series/{series}/instances/{uid}",
                                  headers=headers | {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
                                  timeout=30)
            body = answer.content
            start = body.index(b"\r\n\r\n") + 4
            end = body.rindex(b"\r\n--")
            if hashlib.sha256(dataset(body[start:end])).digest() != hashlib.sha256(dataset(open(path, "rb").read())).digest():
                raise SystemExit(f"cycle {cycle}: {uid} differs")
        verify = server.run("verify", "--data-dir", folder)
        acked_total += len(acked)
        print(f"cycle {cycle}: {len(acked)} acknowledged, all there; verify: {'; '.join(verify.strip().splitlines())}", flush=True)
        for old in glob.glob(os.path.join(top, f"c{cycle}-*")):
            shutil.rmtree(old)
    before = answers(server, headers)
    server.stop()
    server.run("import", "--rebuild", "--data-dir", folder)
    server.start()
    after = answers(server, headers)
    server.stop()
    if before != after:
        raise SystemExit(f"{len(before)} answers before the rebuild, {len(after)} after it, or others")
    shutil.rmtree(top)
    print(f"{options.cycles} kills, {acked_total} acknowledged images, 0 lost; {len(after)} answers the same after a rebuild")


if __name__ == "__main__":
    main()
