#!/usr/bin/env python3
"""C-MOVE of whole series to a sink that stores nothing, and C-GET, from Orthanc and from Mingying in turn.

Beside them the rate at which storescu fills that sink: the client's own limit.
"""
import contextlib

import lab
import scu


def main():
    chosen = lab.options(__doc__, studies=4, slices=500).parse_args()
    data = lab.ct(chosen)
    results = lab.Results("move", chosen)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(lab.running(lab.Peer("sink")))
        orthanc = stack.enter_context(lab.running(lab.Peer("orthanc-pg" if chosen.postgres else "orthanc-default")))
        orthanc.label = "orthanc"
        mingying = stack.enter_context(lab.running(lab.Mingying(chosen, {"images.sibling_size": 0})))
        for server in (orthanc, mingying):
            lab.store(server, data, 1)
        asked = scu.Association(mingying, [(scu.STUDY_ROOT_GET, scu.IMPLICIT)])
        ways = ["move", "get"] if asked.ids else ["move"]
        asked.release()
        for _ in range(chosen.rounds):
            results.keep("sink", "", img_s=lab.store(sink, data, 1)["img_s"])
            for way in ways:
                for server in (orthanc, mingying):
                    row = lab.run_json([lab.sys.executable, f"{lab.TOOLS}/bench_move.py", "--port", str(server.dimse), "--aet",
                                        server.aet, "--dir", data, "--what", way, "--runs", "1", "--pid", *server.pids])
                    results.keep(server.label, f"c-{way}", **{k: row[k] for k in ("img_s", "srv_cpu_per_1000", "rc", "completed")})
    results.table("img_s", "srv_cpu_per_1000", against=["orthanc", "sink"], key="img_s")
    if "get" not in ways:
        print("C-GET: this server does not offer it")


if __name__ == "__main__":
    main()
