#!/usr/bin/env python3
"""Memory: while several associations store a multi-frame object of 1 GB each, and when nothing happens; and the start.

The last frame of each object is read back. Orthanc stands beside at rest only: it holds objects in memory whole.
"""
import time

import lab
import objects


def main():
    parser = lab.options(__doc__)
    parser.add_argument("--associations", type=int, default=8)
    parser.add_argument("--frames", type=int, default=2000, help="of 512 KiB in an object")
    parser.add_argument("--idle", type=float, default=30, help="seconds of quiet before the memory is read")
    chosen = parser.parse_args()
    results = lab.Results("memory", chosen)
    orthanc = lab.Peer("orthanc-pg" if chosen.postgres else "orthanc-default")
    orthanc.label = "orthanc"
    for _ in range(chosen.rounds):
        for server in (orthanc, lab.Mingying(chosen, {"images.sibling_size": 0})):
            with lab.running(server):
                time.sleep(chosen.idle)
                # The server alone: PostgreSQL's own memory is a setting.
                idle = lab.rss([server.pids[0]])
                results.keep(server.label, "start", start_s=round(server.start_seconds, 2), idle_rss_mb=round(idle / 1e6, 1))
    for _ in range(chosen.rounds):
        server = lab.Mingying(chosen, {"images.sibling_size": 0})
        with lab.running(server):
            whole = [objects.multiframe(number, chosen.frames) for number in range(chosen.associations)]
            # Without PostgreSQL, as above.
            server.pids = server.pids[:1]
            row = objects.send(server, [one[:3] for one in whole], chosen.associations, [objects.WORD])
            for _, uid, _, last in whole:
                study = uid.removesuffix(".1.1")
                path = f"/dicom-web/studies/{study}/series/{study}.1/instances/{uid}/frames/{chosen.frames}"
                if lab.get(server, path, "application/octet-stream") != last:
                    raise SystemExit(f"{uid}: the last frame differs")
            size = chosen.associations * chosen.frames * 512 * 512 * 2
            results.keep("mingying", f"{chosen.associations} x {chosen.frames} frames", peak_rss_mb=row["peak_rss_mb"],
                         mb_s=round(size / row["wall_s"] / 1e6, 1))
    results.table("start_s", "idle_rss_mb", "peak_rss_mb", "mb_s")


if __name__ == "__main__":
    main()
