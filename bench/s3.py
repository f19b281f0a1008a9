#!/usr/bin/env python3
"""Storing on the local disk, and with full packs going to a bucket of a real S3 server (SeaweedFS) as soon as they can.

How fast the senders are served by either, and how long it takes until every full pack is in the bucket. More rows come
with --config: the same once more with that configuration, under the label "configured".
"""
import contextlib
import glob
import os
import subprocess
import sys
import time

import lab
import objects

BUCKET = "images"


@contextlib.contextmanager
def seaweed(folder):
    """The endpoint of an S3 server that syncs what it acknowledges, and the files with its keys."""
    os.makedirs(folder, exist_ok=True)
    keys = {}
    for name in ("access", "secret"):
        keys[name] = os.path.join(folder, name)
        with open(keys[name], "w") as file:
            file.write(f"bench{name}")
    weed = os.path.join(os.path.dirname(sys.executable), "weed")
    script = os.path.join(os.path.dirname(__file__), "../crates/testkit/src/s3_server.py")
    process = subprocess.Popen([sys.executable, script, weed, "benchaccess", "benchsecret"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline().strip()
        if not line.startswith("ready "):
            raise SystemExit(f"the S3 server did not start: {line}")
        sync(weed, process.pid)
        yield line.removeprefix("ready "), keys
    finally:
        process.stdin.close()
        process.wait()


def sync(weed, script):
    """SeaweedFS acknowledges before its disk does, unless told otherwise for a folder."""
    child = next(pid for pid in lab.tree([script]) if pid != script)
    words = open(f"/proc/{child}/cmdline").read().split("\0")
    port = {word.split("=")[0].lstrip("-"): word.split("=")[1] for word in words if ".port" in word and "=" in word}
    where = [f"-{part}=127.0.0.1:{port[f'{part}.port']}.{port[f'{part}.port.grpc']}" for part in ("master", "filer")]
    command = f"fs.configure -locationPrefix=/buckets/{BUCKET} -fsync -apply\nexit\n"
    done = subprocess.run([weed, "shell", *where], input=command, capture_output=True, text=True, timeout=120)
    if '"fsync": true' not in done.stdout and '"fsync":true' not in done.stdout.replace(" ", ""):
        raise SystemExit(f"SeaweedFS was not told to sync: {done.stdout}{done.stderr}")


def main():
    parser = lab.options(__doc__, studies=4, slices=500)
    parser.add_argument("--images", type=int, default=4400, help="2.3 GB: two packs become full")
    parser.add_argument("--associations", type=int, default=4)
    chosen = parser.parse_args()
    results = lab.Results("s3", chosen)
    slices = objects.Slices(lab.ct(chosen))
    configured, chosen.config = chosen.config, None
    with seaweed(os.path.join(lab.HOME, "s3")) as (endpoint, keys):
        for number in range(chosen.rounds):
            tiers = {"images.tiers.leave_fast_days": 0, "images.tiers.rate": 0, "images.tiers.s3.endpoint": endpoint,
                     "images.tiers.s3.region": "us-east-1", "images.tiers.s3.bucket": BUCKET,
                     "images.tiers.s3.access_key_file": keys["access"], "images.tiers.s3.secret_key_file": keys["secret"]}
            kinds = [("local disk", {}, None), ("mingying", tiers, None)]
            if configured:
                kinds.append(("configured", tiers, configured))
            for label, more, chosen.config in kinds:
                # A prefix of its own each time, as each installation has.
                more = more and {**more, "images.tiers.s3.prefix": f"{label}-{number}-{int(time.time())}"}
                server = lab.Mingying(chosen, {"images.sibling_size": 0, **more})
                with lab.running(server):
                    sent = (slices(n // len(slices.sets), n) for n in range(chosen.images))
                    row = objects.send(server, sent, chosen.associations)
                    if more:
                        # The newest pack is being written; every other one has to go.
                        full = len(glob.glob(f"{server.data}/blobs/packs/*.pack")) - 1
                        size = server.metrics()["mingying_storage_pack_bytes"]
                        row["packs"] = full
                        row["in_bucket_s"] = full and round(row["wall_s"] + server.wait_for(
                            "packs in the bucket", lambda now: now.get("mingying_packs_fast_bytes", size) <= size - full * (1 << 30)), 1)
                    results.keep(label, "store", **row)
    results.table("img_s", "wall_s", "in_bucket_s", "packs", "srv_cpu_per_1000", "peak_rss_mb",
                  against=["local disk"], key="img_s")


if __name__ == "__main__":
    main()
