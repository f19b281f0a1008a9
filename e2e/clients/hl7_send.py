#!/usr/bin/env python3
"""hl7_send.py HOST PORT: sends the HL7 message on standard input (line feeds between segments) with the `hl7` package's
MLLP client and prints the acknowledgement; exit 1 unless it is AA."""
import sys

import hl7
from hl7.client import MLLPClient


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    text = sys.stdin.read().strip().replace("\n", "\r") + "\r"
    with MLLPClient(host, port, encoding="utf-8") as client:
        answer = client.send_message(text).decode("utf-8")
    message = hl7.parse(answer.strip("\x0b\x1c\r"))
    print(str(message).replace("\r", "\n"))
    sys.exit(0 if str(message.segment("MSA")[1]) == "AA" else 1)


if __name__ == "__main__":
    main()
