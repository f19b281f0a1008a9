#!/usr/bin/env python3
"""Interleaved retrieval: Orthanc, Mingying and nginx with static files of the same size, on the same data.

WADO-RS with wrk: frames, instances, whole series, series metadata, rendered images. Everything lies in the page cache.
--form raw: as it was sent, uncompressed. --form siblings: Mingying answers in HTJ2K from the siblings that it made.
--form stored: it was sent HTJ2K and answers with what it stored. Orthanc always has and sends the raw images.
"""
import contextlib
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

import lab
import pydicom

OCTETS = "application/octet-stream"
HTJ2K = "1.2.840.10008.1.2.4.202"
ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# What to ask for of an image or a series; `files`: the kind of file that nginx serves instead.
Mode = namedtuple("Mode", "accept htj2k level tail files")
MODES = {
    "frame": Mode(f'multipart/related; type="{OCTETS}"', f'multipart/related; type="image/jphc"; transfer-syntax={HTJ2K}',
                  "instance", "/frames/1", "frame"),
    "frame-single": Mode(OCTETS, f"image/jphc; transfer-syntax={HTJ2K}", "instance", "/frames/1", "frame"),
    "instance": Mode(ANY, f'multipart/related; type="application/dicom"; transfer-syntax={HTJ2K}', "instance", "", "instance"),
    "series": Mode(ANY, f'multipart/related; type="application/dicom"; transfer-syntax={HTJ2K}', "series", "", "series"),
    "metadata": Mode("application/dicom+json", "application/dicom+json", "series", "/metadata", None),
    "rendered": Mode("image/jpeg", "image/jpeg", "instance", "/rendered", None),
}
# Orthanc answers a single part with 400; its multipart answer of the same frames is what stands beside.
MULTIPART_ONLY = {"frame-single": "frame"}


class Nginx:
    """Frames, objects and series as files: those of a folder, and of compressed images what Mingying answers with."""

    url, headers, label = "http://127.0.0.1:18490", {}, "nginx"

    def __init__(self, studies, data):
        self.dir = os.path.join(lab.HOME, "run", "nginx")
        self.studies, self.data = studies, data

    def start(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        for kind in ("frame", "instance", "series"):
            os.makedirs(f"{self.dir}/www/{kind}")
        for folder, study in self.studies:
            with open(f"{self.dir}/www/series/{study['series']}", "wb") as series:
                for number, sop in enumerate(study["sops"]):
                    path = f"{self.data}/{folder}/i{number:05d}.dcm"
                    with open(path, "rb") as file:
                        shutil.copyfileobj(file, series)
                    os.symlink(path, f"{self.dir}/www/instance/{sop}")
                    one = pydicom.dcmread(path)
                    compressed = one.file_meta.TransferSyntaxUID.is_compressed
                    with open(f"{self.dir}/www/frame/{sop}", "wb") as frame:
                        frame.write(pydicom.encaps.get_frame(one.PixelData, 0) if compressed else one.PixelData)
        with open(f"{self.dir}/nginx.conf", "w") as conf:
            conf.write(f"user root; worker_processes auto; pid {self.dir}/pid; error_log {self.dir}/log;\n"
                       "events { worker_connections 256; }\n"
                       "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n"
                       f"  default_type {OCTETS}; server {{ listen 127.0.0.1:18490; root {self.dir}/www; }} }}\n")
        subprocess.run(["nginx", "-c", f"{self.dir}/nginx.conf"], check=True)
        for _ in range(100):
            if os.path.exists(f"{self.dir}/pid") and open(f"{self.dir}/pid").read().strip():
                self.pids = [open(f"{self.dir}/pid").read().strip()]
                return self
            time.sleep(0.05)
        raise SystemExit("nginx did not start")

    def stop(self):
        subprocess.run(["nginx", "-c", f"{self.dir}/nginx.conf", "-s", "quit"], check=True)


def paths(server, studies, mode):
    """Paths to ask for, and images in one answer."""
    per_answer = studies[0][1]["slices"] if mode.level == "series" else 1
    if server.label == "nginx":
        found = [s["series"] for _, s in studies] if mode.level == "series" else [i for _, s in studies for i in s["sops"]]
        return [f"/{mode.files}/{name}" for name in found], per_answer
    series = [(f"/dicom-web/studies/{s['study']}/series/{s['series']}", s) for _, s in studies]
    if mode.level == "series":
        return [path + mode.tail for path, _ in series], per_answer
    return [f"{path}/instances/{sop}{mode.tail}" for path, s in series for sop in s["sops"]], per_answer


def wrk(server, asked, accept, connections, seconds, per_answer):
    lines = ",\n".join(f'"{path}"' for path in asked)
    sets = "".join(f"wrk.headers[{name!r}]={value!r}\n" for name, value in {**server.headers, "Accept": accept}.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        # A stride that meets every path and jumps between series.
        script.write(f"local p={{\n{lines}\n}}\nlocal i=0\n{sets}"
                     "function request() i=i+1; return wrk.format('GET', p[(i*7)%#p+1]) end\n")
        script.flush()
        with lab.ProcMeter(server.pids) as meter:
            text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency", "-s",
                                   script.name, server.url], capture_output=True, text=True).stdout
    count, wall = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    images = int(count) * per_answer
    p99 = re.search(r"\s99%\s+([\d.]+)(us|ms|s)", text)
    failed = re.search(r"Non-2xx.*|Socket errors.*", text)
    if failed:
        lab.fault(server, failed[0])
    return {"img_s": round(images / float(wall), 1), "p99_ms": p99 and float(p99[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99[2]],
            "cpu_per_1000": round(meter.cpu / max(1, images) * 1000, 3), "peak_rss_mb": round(meter.peak / 1e6, 1),
            "err": failed and failed[0]}


def compressed_copy(server, studies, data):
    """A folder with the images as HTJ2K objects, as the server hands them out."""
    target = f"{os.path.join(lab.HOME, os.path.basename(data))}-htj2k"
    shutil.rmtree(target, ignore_errors=True)
    for folder, study in studies:
        os.makedirs(f"{target}/{folder}")
        for number, sop in enumerate(study["sops"]):
            path = f"/dicom-web/studies/{study['study']}/series/{study['series']}/instances/{sop}"
            with open(f"{target}/{folder}/i{number:05d}.dcm", "wb") as file:
                file.write(lab.get(server, path, f"application/dicom; transfer-syntax={HTJ2K}"))
    return target


def metadata(results, server, series):
    """First answer of a server that was just started, with nothing made in advance and nothing cached; then the next ones."""
    path = f"/dicom-web/studies/{series['study']}/series/{series['series']}/metadata"
    server.stop(keep=True)
    shutil.rmtree(f"{server.data}/derived", ignore_errors=True)
    lab.forget_pages(server.dir)
    server.start(keep=True)

    def ask():
        begun = time.time()
        body = lab.get(server, path, "application/dicom+json", **{"Accept-Encoding": "gzip"})
        return round((time.time() - begun) * 1000, 1), body

    cold, body = ask()
    results.keep("mingying", f"metadata of {series['slices']}", cold_ms=cold, warm_ms=statistics.median(ask()[0] for _ in range(20)),
                 gzip_bytes=len(body))


def main():
    parser = lab.options(__doc__, studies=4, slices=500)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--modes", nargs="*", default=list(MODES), choices=list(MODES))
    parser.add_argument("--form", choices=["raw", "siblings", "stored"], default="raw")
    chosen = parser.parse_args()
    data = lab.ct(chosen)
    studies = [(f"s{number:03d}", study) for number, study in enumerate(json.load(open(f"{data}/manifest.json")))]
    images = sum(study["slices"] for _, study in studies)
    results = lab.Results(f"wado {chosen.form}", chosen)
    with contextlib.ExitStack() as stack:
        orthanc = stack.enter_context(lab.running(lab.Peer("orthanc-pg" if chosen.postgres else "orthanc-default")))
        orthanc.label = "orthanc"
        lab.store(orthanc, data, 1 if chosen.postgres else min(4, len(studies)))
        mingying = lab.Mingying(chosen, {"images.sibling_after": 0} if chosen.form != "raw" else {"images.sibling_size": 0})
        mingying.start()
        stack.callback(lambda: mingying.stop())
        lab.store(mingying, data, min(4, len(studies)))
        files = data
        if chosen.form != "raw":
            waited = mingying.all_siblings(images)
            print(f"siblings ready {waited:.0f} s after the last image", file=sys.stderr)
            files = compressed_copy(mingying, studies, data)
            stack.callback(shutil.rmtree, files)
        if chosen.form == "stored":
            mingying.stop()
            mingying.settings = {**mingying.settings, "images.sibling_size": 0}
            mingying.start()
            paths_of = sorted(glob.glob(f"{files}/*/*.dcm"))
            lab.stow(mingying, [lambda path=path: [open(path, "rb").read()] for path in paths_of], 4)
        if "metadata" in chosen.modes:
            for _ in range(chosen.rounds):
                metadata(results, mingying, studies[0][1])
        nginx = Nginx(studies, files)
        nginx.start()
        stack.callback(nginx.stop)
        for _ in range(chosen.rounds):
            for name in chosen.modes:
                mode = MODES[name]
                for connections in chosen.connections:
                    for server in (orthanc, mingying, nginx):
                        if server.label == "nginx" and mode.files is None:
                            continue
                        accept = mode.accept if server.label == "orthanc" or chosen.form == "raw" else mode.htj2k
                        if server.label == "orthanc":
                            accept = MODES[MULTIPART_ONLY.get(name, name)].accept
                        asked, per_answer = paths(server, studies, mode)
                        results.keep(server.label, f"{name} at {connections}",
                                     **wrk(server, asked, accept, connections, chosen.seconds, per_answer))
    results.table("img_s", "cpu_per_1000", "p99_ms", "peak_rss_mb", "cold_ms", "warm_ms", "gzip_bytes",
                  against=["orthanc", "nginx"], key="img_s")


if __name__ == "__main__":
    main()
