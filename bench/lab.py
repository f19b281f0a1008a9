"""What every benchmark shares: options, the servers under test, ways to load them, and one form of results."""
import argparse
import contextlib
import glob
import http.client
import json
import os
import queue
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request

HOME = os.environ["BENCH_HOME"]
TOOLS = os.environ["BENCH_TOOLS"]
sys.path.insert(0, TOOLS)
from common import ProcMeter, cpu, rss, tree  # noqa: E402, F401

DICOM_PORTS = {"orthanc-default": 11401, "orthanc-tuned": 11402, "orthanc-pg": 11403, "orthanc-pgtuned": 11404, "sink": 11412}


def options(doc, studies=None, slices=None, **defaults):
    """The options that every benchmark has; `studies` and `slices`: the generated CT that it works on."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--rounds", type=int, default=defaults.get("rounds", 5))
    parser.add_argument("--postgres", action="store_true", help="the index of the servers in PostgreSQL")
    parser.add_argument("--config", help="TOML file: more configuration for Mingying, such as encryption or tiers")
    if studies:
        parser.add_argument("--studies", type=int, default=studies)
        parser.add_argument("--slices", type=int, default=slices)
        parser.add_argument("--data", help="folder that gen_ct.py made")
    return parser


def ct(chosen):
    """The folder of the CT that was asked for; it is generated once."""
    data = os.path.abspath(chosen.data or os.path.join(HOME, f"ct-{chosen.studies}x{chosen.slices}"))
    if not os.path.isfile(f"{data}/manifest.json"):
        subprocess.run([sys.executable, f"{TOOLS}/gen_ct.py", data, "--studies", str(chosen.studies), "--slices",
                        str(chosen.slices)], check=True, stdout=sys.stderr)
    return data


class Results:
    """Runs of a benchmark: a JSON line each as they come, then medians and ratios."""

    def __init__(self, bench, chosen):
        self.bench, self.engine, self.rows = bench, "postgres" if chosen.postgres else "sqlite", {}
        # So that whoever reads the lines knows a trial from a measurement.
        print(json.dumps({"bench": bench, "engine": self.engine, "label": "options", "case": "", **vars(chosen)}), flush=True)

    def keep(self, label, case, **figures):
        print(json.dumps({"bench": self.bench, "engine": self.engine, "label": label, "case": case, **figures}), flush=True)
        self.rows.setdefault((case, label), []).append(figures)

    def table(self, *columns, against=(), key=None):
        """Medians of the columns, and for each of `against` the median of Mingying's `key` over its, run by run."""
        print(f"\n{'':24} {'':18}" + "".join(f"{name:>17}" for name in columns))
        for (case, label), runs in self.rows.items():
            cells = []
            for name in columns:
                values = [run[name] for run in runs if run.get(name) is not None]
                cells.append(f"{statistics.median(values):>17.2f}" if values else f"{'':17}")
            print(f"{case:24} {label:18}" + "".join(cells))
        for case in dict.fromkeys(case for case, _ in self.rows):
            ours = self.rows.get((case, "mingying"))
            for other in against:
                theirs = self.rows.get((case, other)) or self.rows.get(("", other))
                if ours and theirs:
                    # Who finds nothing where the other does has answered another question.
                    ratios = [m[key] / o[key] for m, o in zip(ours, theirs)
                              if m.get(key) is not None and o.get(key) and (m.get("hits", 1) == 0 or o.get("hits", 1) > 0)]
                    if ratios:
                        print(f"{case:24} mingying / {other}, {key}: {statistics.median(ratios):.2f}")


def run_json(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


class Peer:
    """A server of servers.sh with an empty folder."""

    url = property(lambda self: f"http://127.0.0.1:{self.dimse + 7000}")
    aet = property(lambda self: "SINK" if self.kind == "sink" else "ORTHANC")
    headers = {}

    def __init__(self, kind):
        self.kind, self.label, self.dimse = kind, kind, DICOM_PORTS[kind]
        self.dir = os.path.join(HOME, "run", kind)

    def tell(self, word):
        return subprocess.run(["bash", f"{TOOLS}/servers.sh", word, self.kind], check=True, capture_output=True, text=True).stdout

    def start(self, keep=False):
        if not keep:
            self.tell("wipe")
        begun = time.time()
        self.pids = self.tell("start").split()
        self.start_seconds = time.time() - begun
        return self

    def stop(self, keep=False):
        self.tell("stop")
        if not keep:
            self.tell("wipe")


class Postgres:
    """A durable cluster of its own, set as servers.sh sets Orthanc's."""

    def __init__(self, folder, port):
        self.dir, self.port = folder, port
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]

    def su(self, command):
        subprocess.run(["su", "postgres", "-c", command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self):
        new = not os.path.exists(f"{self.dir}/pg/PG_VERSION")
        if new:
            os.makedirs(self.dir)
            shutil.chown(self.dir, "postgres")
            self.su(f"{self.bin}/initdb -D {self.dir}/pg -A trust -E UTF8 --locale=C.UTF-8")
        self.su(f"{self.bin}/pg_ctl -D {self.dir}/pg -w -l {self.dir}/log -o '-p {self.port} -c listen_addresses=127.0.0.1 "
                f"-c unix_socket_directories={self.dir} -c shared_buffers=512MB -c synchronous_commit=on' start")
        if new:
            self.database("mingying")
        self.pid = open(f"{self.dir}/pg/postmaster.pid").readline().strip()
        return self.url("mingying")

    def database(self, name):
        """An empty one."""
        self.su(f"psql -q -h 127.0.0.1 -p {self.port} -c \"create database {name} encoding 'UTF8' lc_collate 'C' "
                "lc_ctype 'C' template template0\"")
        return self.url(name)

    def url(self, name):
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def stop(self):
        self.su(f"{self.bin}/pg_ctl -D {self.dir}/pg -m fast stop")


def flat(table, above=""):
    """A TOML table as dotted keys, so that later settings replace earlier ones."""
    keys = {}
    for key, value in table.items():
        keys |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return keys


class Mingying:
    """The server under test. `number` tells several of one run apart."""

    label, aet = "mingying", "MINGYING"

    def __init__(self, chosen, settings=None, number=0, folder=None):
        self.dir = folder or os.path.join(HOME, "run", f"mingying-{number}")
        self.http, self.dimse, hl7 = 18480 + number, 11480 + number, 12480 + number
        self.url = f"http://127.0.0.1:{self.http}"
        self.listen = ["--http", f"127.0.0.1:{self.http}", "--dimse", f"127.0.0.1:{self.dimse}", "--hl7", f"127.0.0.1:{hl7}"]
        self.postgres = Postgres(f"{self.dir}-pg", 15490 + number) if chosen.postgres else None
        self.settings = (flat(tomllib.load(open(chosen.config, "rb"))) if chosen.config else {}) | (settings or {})
        self.data = os.path.join(self.dir, "data")

    def run(self, *arguments, data=None, database=None, check=True):
        """A command of the program, on this installation's data or on other."""
        environment = self.environment | ({"MINGYING_DATABASE": database} if database else {})
        done = subprocess.run([os.environ["MINGYING_BIN"], *arguments, "--config", f"{self.dir}/config.toml", "--data-dir",
                               data or self.data], env=environment, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise SystemExit(f"mingying {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done

    def start(self, keep=False):
        if not keep:
            self.wipe()
        os.makedirs(self.data, exist_ok=True)
        with open(f"{self.dir}/config.toml", "w") as config:
            config.writelines(f"{key} = {json.dumps(value)}\n" for key, value in self.settings.items())
        self.environment = dict(os.environ)
        if self.postgres:
            self.environment["MINGYING_DATABASE"] = self.postgres.start()
        log = open(f"{self.dir}/server.log", "a")
        begun = time.time()
        self.process = subprocess.Popen(
            [os.environ["MINGYING_BIN"], "serve", "--config", f"{self.dir}/config.toml", "--data-dir", self.data, *self.listen],
            env=self.environment, stdout=log, stderr=log)
        while time.time() < begun + 120 and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"{self.url}/health/ready", timeout=1).status == 200:
                    break
            time.sleep(0.005)
        else:
            raise SystemExit(f"mingying did not start: {self.dir}/server.log")
        self.start_seconds = time.time() - begun
        self.pids = [str(self.process.pid), *([self.postgres.pid] if self.postgres else [])]
        if not keep:
            # storescu and the retrievals call themselves BENCH and move to SINK.
            for aet, port in (("BENCH", 11499), ("SINK", 11412)):
                self.run("peer", "add", "--aet", aet, "--host", "127.0.0.1", "--port", str(port))
            with open(f"{self.dir}/token", "w") as file:
                file.write(self.run("user", "token", "BENCH").stdout.split()[-1])
        self.headers = {"Authorization": "Bearer " + open(f"{self.dir}/token").read()}
        return self

    def stop(self, keep=False):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        if self.postgres:
            self.postgres.stop()
        if code != 0:
            raise SystemExit(f"mingying ended with {code}: {self.dir}/server.log")
        if not keep:
            self.wipe()

    def wipe(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.postgres:
            shutil.rmtree(self.postgres.dir, ignore_errors=True)

    def metrics(self):
        """Those without labels, by name."""
        request = urllib.request.Request(f"{self.url}/metrics", headers=self.headers)
        lines = urllib.request.urlopen(request, timeout=60).read().decode().splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line and line[0] != "#" and "{" not in line}

    def wait_for(self, what, check, seconds=3600):
        """Seconds until `check` of the metrics is true."""
        begun = time.time()
        while not check(self.metrics()):
            if time.time() > begun + seconds or self.process.poll() is not None:
                raise SystemExit(f"waited in vain for {what}")
            time.sleep(0.2)
        return time.time() - begun

    def all_siblings(self, count):
        """Seconds until `count` images have their HTJ2K sibling or were found unfit for one."""
        def ready(now):
            return now["mingying_siblings_waiting"] == 0 and now["mingying_siblings"] + now.get("mingying_siblings_unfit", 0) >= count
        return self.wait_for("siblings", ready)


@contextlib.contextmanager
def running(server, **how):
    server.start(**how)
    try:
        yield server
    finally:
        server.stop(**how)


def fault(server, what):
    """A peer that loses something keeps its figures, which are too good then; Mingying has none to show."""
    if isinstance(server, Mingying):
        raise SystemExit(f"{server.label}: {what}")
    print(f"{server.label}: {what}", file=sys.stderr)


def store(server, data, clients):
    """All of a folder by C-STORE with DCMTK's storescu."""
    row = run_json([sys.executable, f"{TOOLS}/bench_store.py", "--port", str(server.dimse), "--aet", server.aet, "--dir", data,
                    "--assoc", str(clients), "--pdu", "131072", "--label", server.label, "--pid", *server.pids])
    if any(row["rc"]):
        fault(server, row["err"])
    return {key: row[key] for key in ("img_s", "srv_cpu_per_1000", "peak_rss_mb", "rc")}


def stow(server, batches, clients):
    """Multipart batches over connections that stay open; each batch is a function that gives files."""
    jobs = queue.Queue()
    for batch in batches:
        jobs.put(batch)
    headers = {**server.headers, "Content-Type": 'multipart/related; type="application/dicom"; boundary=BNDRY',
               "Accept": "application/dicom+json"}
    faults, done = [], []

    def work():
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=300)
        while True:
            try:
                files = jobs.get_nowait()()
            except queue.Empty:
                return
            parts = [b"--BNDRY\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
            connection.request("POST", "/dicom-web/studies", b"".join(parts) + b"--BNDRY--\r\n", headers)
            answer = connection.getresponse()
            body = answer.read()
            done.append(len(files))
            if answer.status != 200 or len(json.loads(body).get("00081199", {}).get("Value", [])) != len(files):
                faults.append(f"{answer.status} {body[:200]!r}")

    with ProcMeter(server.pids) as meter:
        together(clients, work)
    if faults:
        fault(server, faults[:3])
    return {"img_s": round(sum(done) / meter.wall, 1), "srv_cpu_per_1000": round(meter.cpu / sum(done) * 1000, 2),
            "peak_rss_mb": round(meter.peak / 1e6, 1), "rc": [len(faults)]}


def get(server, path, accept, **headers):
    """The body of one answer, on a connection of its own."""
    request = urllib.request.Request(server.url + path, headers={**server.headers, "Accept": accept, **headers})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return answer.read()


def together(count, work):
    """Runs `work` in so many threads, and fails when one does."""
    broken = []

    def guarded():
        try:
            work()
        except BaseException as error:  # noqa: BLE001: told below, in the thread that waits
            broken.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]


def forget_pages(folder):
    """Takes the files of a folder out of the page cache, as after a night."""
    os.sync()
    for top, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                fd = os.open(os.path.join(top, name), os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


def disk_bytes(folder):
    """What the files below a folder take on the disk."""
    return sum(os.stat(os.path.join(top, name)).st_blocks * 512 for top, _, names in os.walk(folder) for name in names)


def percentile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]
