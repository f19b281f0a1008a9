#!/usr/bin/env python3
"""Interleaved retrieval: Orthanc, Mingying and nginx with static files of the same size, on the same data.

WADO-RS with wrk: frames, instances, whole series, series metadata, rendered images. Everything lies in the page cache.
Prints one JSON line a run, then medians and ratios.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import pydicom
from common import ProcMeter
from ingest import HOME, Mingying, run_json

ORTHANC = "http://127.0.0.1:18401"
NGINX = "http://127.0.0.1:18490"
OCTETS = "application/octet-stream"
# Accept header, what stands behind the instance or series, which files nginx serves instead.
MODES = {
    "frame": (f'multipart/related; type="{OCTETS}"', "instance", "/frames/1", "frame"),
    "frame-single": (OCTETS, "instance", "/frames/1", "frame"),
    "instance": ('multipart/related; type="application/dicom"; transfer-syntax=*', "instance", "", "instance"),
    "series": ('multipart/related; type="application/dicom"; transfer-syntax=*', "series", "", "series"),
    "metadata": ("application/dicom+json", "series", "/metadata", None),
    "rendered": ("image/jpeg", "instance", "/rendered", None),
}
# Orthanc answers a single part with 400.
NOT_ORTHANC = {"frame-single"}


class Nginx:
    """Frames, whole objects and whole series as files."""

    def __init__(self):
        self.dir = os.path.join(HOME, "run", "nginx")

    def start(self, studies, data):
        shutil.rmtree(self.dir, ignore_errors=True)
        for kind in ("frame", "instance", "series"):
            os.makedirs(f"{self.dir}/www/{kind}")
        for folder, study in studies:
            with open(f"{self.dir}/www/series/{study['series']}", "wb") as series:
                for number, sop in enumerate(study["sops"]):
                    path = f"{data}/{folder}/i{number:05d}.dcm"
                    content = open(path, "rb").read()
                    series.write(content)
                    os.symlink(path, f"{self.dir}/www/instance/{sop}")
                    with open(f"{self.dir}/www/frame/{sop}", "wb") as frame:
                        frame.write(pydicom.dcmread(path).PixelData)
        with open(f"{self.dir}/nginx.conf", "w") as conf:
            conf.write(f"user root; worker_processes auto; pid {self.dir}/pid; error_log {self.dir}/log;\n"
                       "events { worker_connections 256; }\n"
                       "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n"
                       f"  default_type {OCTETS}; server {{ listen 127.0.0.1:18490; root {self.dir}/www; }} }}\n")
        subprocess.run(["nginx", "-c", f"{self.dir}/nginx.conf"], check=True)
        for _ in range(100):
            if os.path.exists(f"{self.dir}/pid") and open(f"{self.dir}/pid").read().strip():
                return [open(f"{self.dir}/pid").read().strip()]
            time.sleep(0.05)
        raise SystemExit("nginx did not start")

    def stop(self):
        subprocess.run(["nginx", "-c", f"{self.dir}/nginx.conf", "-s", "quit"], check=True)


def paths(base, studies, mode):
    """Paths to ask for, and images in one answer."""
    _, level, tail, static = MODES[mode]
    if base is None:
        found = [s["series"] for _, s in studies] if level == "series" else [i for _, s in studies for i in s["sops"]]
        return [f"/{static}/{name}" for name in found], studies[0][1]["slices"] if level == "series" else 1
    series = [(f"{base}/studies/{s['study']}/series/{s['series']}", s) for _, s in studies]
    if level == "series":
        return [path + tail for path, _ in series], studies[0][1]["slices"]
    return [f"{path}/instances/{sop}{tail}" for path, s in series for sop in s["sops"]], 1


def wrk(host, asked, headers, connections, seconds, pids, per_answer):
    lines = ",\n".join(f'"{path}"' for path in asked)
    sets = "".join(f"wrk.headers[{name!r}]={value!r}\n" for name, value in headers.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        # A stride that meets every path and jumps between series.
        script.write(f"local p={{\n{lines}\n}}\nlocal i=0\n{sets}"
                     "function request() i=i+1; return wrk.format('GET', p[(i*7)%#p+1]) end\n")
        script.flush()
        with ProcMeter(pids) as meter:
            text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency", "-s",
                                   script.name, host], capture_output=True, text=True).stdout
    count, wall = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    answers = int(count)
    latency = dict(re.findall(r"\s(50|99)%\s+(\S+)", text))
    failed = re.search(r"Non-2xx.*|Socket errors.*", text)
    return {"answers_s": round(answers / float(wall), 1), "img_s": round(answers * per_answer / float(wall), 1),
            "p50": latency.get("50"), "p99": latency.get("99"),
            "cpu_per_1000": round(meter.cpu / max(1, answers * per_answer) * 1000, 3),
            "peak_rss_mb": round(meter.peak / 1e6, 1), "err": failed and failed[0]}


def first_answer(url, headers):
    """Milliseconds of one request on a fresh connection, and bytes on the wire."""
    start = time.time()
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        length = len(answer.read())
    return round((time.time() - start) * 1000, 1), length


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--modes", nargs="*", default=list(MODES), choices=list(MODES))
    parser.add_argument("--postgres", action="store_true", help="Mingying's index in PostgreSQL")
    parser.add_argument("--data")
    options = parser.parse_args()
    data = os.path.abspath(options.data or os.path.join(HOME, f"ct-{options.studies}x{options.slices}"))
    if not os.path.isfile(f"{data}/manifest.json"):
        subprocess.run([sys.executable, f"{options.tools}/gen_ct.py", data, "--studies", str(options.studies),
                        "--slices", str(options.slices)], check=True)
    studies = [(f"s{number:03d}", study) for number, study in enumerate(json.load(open(f"{data}/manifest.json")))]
    servers = f"{options.tools}/servers.sh"

    def load(port, aet, pids, label):
        run_json([sys.executable, f"{options.tools}/bench_store.py", "--port", str(port), "--aet", aet, "--dir", data,
                  "--assoc", "4", "--pdu", "131072", "--label", label, "--pid", *pids])

    results = {}
    with contextlib.ExitStack() as stack:
        subprocess.run(["bash", servers, "wipe", "orthanc-default"], check=True)
        orthanc_pids = subprocess.run(["bash", servers, "start", "orthanc-default"], check=True, capture_output=True,
                                      text=True).stdout.split()
        for last in ("wipe", "stop"):
            stack.callback(subprocess.run, ["bash", servers, last, "orthanc-default"], check=True)
        load(11401, "ORTHANC", orthanc_pids, "orthanc-default")
        mingying = Mingying(options.postgres)
        mingying_pids = mingying.start()
        stack.callback(mingying.stop)
        load(11480, "MINGYING", mingying_pids, "mingying")
        nginx = Nginx()
        nginx_pids = nginx.start(studies, data)
        stack.callback(nginx.stop)
        token = {"Authorization": f"Bearer {mingying.token}"}
        series = studies[0][1]
        metadata = (f"{mingying.url}/dicom-web/studies/{series['study']}/series/{series['series']}/metadata",
                    {**token, "Accept": "application/dicom+json", "Accept-Encoding": "gzip"})
        cold, size = first_answer(*metadata)
        warm = statistics.median(first_answer(*metadata)[0] for _ in range(20))
        print(json.dumps({"what": "metadata", "slices": options.slices, "cold_ms": cold, "warm_ms": warm,
                          "gzip_bytes": size}), flush=True)
        targets = {
            "orthanc-default": (ORTHANC, "/dicom-web", {}, orthanc_pids),
            "mingying": (mingying.url, "/dicom-web", token, mingying_pids),
            "nginx": (NGINX, None, {}, nginx_pids),
        }
        for _ in range(options.rounds):
            for mode in options.modes:
                accept, _, _, static = MODES[mode]
                for connections in options.connections:
                    for label, (host, base, headers, pids) in targets.items():
                        if (label == "nginx" and static is None) or (label == "orthanc-default" and mode in NOT_ORTHANC):
                            continue
                        asked, per_answer = paths(base, studies, mode)
                        row = wrk(host, asked, {**headers, "Accept": accept}, connections, options.seconds, pids,
                                  per_answer)
                        print(json.dumps({"what": "wado", "label": label, "mode": mode, "connections": connections,
                                          **row}), flush=True)
                        results.setdefault((mode, connections), {}).setdefault(label, []).append(row)
    print(f"\nmetadata of {options.slices} slices, one request: first {cold} ms, then {warm} ms, {size} bytes")
    print(f"{'':14} {'conn':>4} {'':16} {'img/s':>9} {'CPU s/1k':>9} {'p99':>9}")
    for (mode, connections), rows in results.items():
        for label, runs in rows.items():
            middle = lambda key: statistics.median(run[key] for run in runs)
            print(f"{mode:14} {connections:>4} {label:16} {middle('img_s'):>9.1f} {middle('cpu_per_1000'):>9.3f} "
                  f"{runs[len(runs) // 2]['p99'] or '':>9}")
        for other in ("orthanc-default", "nginx"):
            if other in rows:
                ratios = [m["img_s"] / max(o["img_s"], 0.1) for m, o in zip(rows["mingying"], rows[other])]
                print(f"{mode:14} {connections:>4} mingying / {other}: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
