#!/usr/bin/env python3
"""Interleaved ingest: Orthanc, Mingying, a null sink, dd and an append + fdatasync loop, on the same data.

By C-STORE (DCMTK's storescu) or by STOW-RS; the index of both servers in SQLite or in PostgreSQL. With --siblings
Mingying twice: without HTJ2K siblings, and while they are made as soon as it can.
"""
import glob
import os
import shutil
import socket
import subprocess
import threading
import time

import lab


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
    subprocess.run(["dd", "if=/dev/zero", f"of={scratch}/dd", "bs=1M", f"count={max(1, size >> 20)}", "conv=fsync"],
                   check=True, stderr=subprocess.DEVNULL)
    wall = time.time() - start
    os.unlink(f"{scratch}/dd")
    return count / wall


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
            for _ in range(max(1, size >> 20)):
                out.sendall(block)
            out.shutdown(socket.SHUT_WR)
            out.recv(1)
        thread.join()
    return count / (time.time() - start)


def main():
    parser = lab.options(__doc__, studies=4, slices=500)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4], help="associations or HTTP connections")
    parser.add_argument("--via", choices=["dimse", "stow"], default="dimse")
    parser.add_argument("--peers", nargs="*", help="kinds of servers.sh; default orthanc-default, or orthanc-pg")
    parser.add_argument("--siblings", action="store_true", help="without and with background transcoding, no peers")
    chosen = parser.parse_args()
    data = lab.ct(chosen)
    files = sorted(glob.glob(f"{data}/*/*.dcm"))
    size = sum(map(os.path.getsize, files))
    scratch = os.path.join(lab.HOME, "scratch")
    os.makedirs(scratch, exist_ok=True)
    peers = chosen.peers if chosen.peers is not None else (["orthanc-pg"] if chosen.postgres else ["orthanc-default"])
    servers = [lab.Peer(kind) for kind in peers] + [lab.Mingying(chosen, {"images.sibling_size": 0})]
    if chosen.via == "dimse":
        servers.insert(0, lab.Peer("sink"))
    if chosen.siblings:
        eager = lab.Mingying(chosen, {"images.sibling_after": 0})
        eager.label = "with siblings"
        servers = [servers[-1], eager]
    results = lab.Results("siblings" if chosen.siblings else f"ingest by {chosen.via}", chosen)
    floors = {"dd": lambda: floor_dd(size, len(files), scratch), "append+fdatasync": lambda: floor_append(files, scratch)}
    if chosen.via == "stow":
        floors["loopback"] = lambda: floor_loopback(size, len(files))

    def send(server, clients):
        if chosen.via == "stow":
            chunks = [files[i:i + 50] for i in range(0, len(files), 50)]
            return lab.stow(server, [lambda chunk=chunk: [open(f, "rb").read() for f in chunk] for chunk in chunks], clients)
        return lab.store(server, deal(files, clients), clients)

    for _ in range(chosen.rounds):
        if not chosen.siblings:
            for label, floor in floors.items():
                results.keep(label, "", img_s=round(floor(), 1))
        for clients in chosen.clients:
            for server in servers:
                with lab.running(server):
                    row = send(server, clients)
                    if server.label == "with siblings":
                        now = server.metrics()
                        row["made_meanwhile"] = now["mingying_siblings"]
                        row["made_s"] = round((len(files) - now["mingying_siblings"]) / max(0.1, server.all_siblings(len(files))), 1)
                    results.keep(server.label, f"{clients} clients", **row)
    others = [server.label for server in servers if server.label != "mingying"]
    results.table("img_s", "srv_cpu_per_1000", "peak_rss_mb", "made_meanwhile", "made_s", against=[*others, *floors], key="img_s")


def deal(files, hands):
    """A folder of links with as many folders as there are associations, so that each has the same to send."""
    folder = os.path.join(lab.HOME, f"dealt-{hands}")
    shutil.rmtree(folder, ignore_errors=True)
    for hand in range(hands):
        os.makedirs(f"{folder}/s{hand:03d}")
    for number, path in enumerate(files):
        # Whole stretches of a series for one association, as a modality sends them.
        os.symlink(path, f"{folder}/s{number * hands // len(files):03d}/{number:05d}.dcm")
    return folder


if __name__ == "__main__":
    main()
