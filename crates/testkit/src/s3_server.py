"""A throw-away S3 server: SeaweedFS in a temporary folder, on loopback, until standard input ends.

Prints one line, `ready ENDPOINT`, when it answers.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def main():
    weed, access, secret = sys.argv[1:4]
    with tempfile.TemporaryDirectory(prefix="mingying-s3-") as folder:
        config = os.path.join(folder, "s3.json")
        identity = {
            "name": "test",
            "credentials": [{"accessKey": access, "secretKey": secret}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        with open(config, "w") as file:
            json.dump({"identities": [identity]}, file)
        names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
        names += ["s3.port", "s3.port.grpc"]
        ports = dict(zip(names, free_ports(len(names))))
        data = os.path.join(folder, "data")
        os.mkdir(data)
        arguments = [weed, "-logtostderr=true", "-v=0", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"]
        arguments += ["-s3", f"-s3.config={config}", "-master.volumeSizeLimitMB=256", "-volume.max=20"]
        # Listeners of other protocols, at fixed ports where they are not turned off.
        arguments += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        arguments += [f"-{name}={port}" for name, port in ports.items()]
        log = open(os.path.join(folder, "log"), "w")
        server = subprocess.Popen(arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            endpoint = f"http://127.0.0.1:{ports['s3.port']}"
            until = time.monotonic() + 60
            while True:
                if server.poll() is not None or time.monotonic() > until:
                    log.flush()
                    sys.exit("the S3 server did not start:\n" + open(log.name).read()[-4000:])
                try:
                    urllib.request.urlopen(endpoint, timeout=1)
                    break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    time.sleep(0.1)
            print(f"ready {endpoint}", flush=True)
            sys.stdin.read()
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()


main()
