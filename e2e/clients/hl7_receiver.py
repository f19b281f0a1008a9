#!/usr/bin/env python3
"""hl7_receiver.py PORT FOLDER: a hospital information system's ear. Keeps each message as FOLDER/<n>.hl7, line feeds
between segments, and answers AA with the `hl7` package."""
import asyncio
import os
import sys

from hl7.mllp import start_hl7_server


async def main():
    port, folder = int(sys.argv[1]), sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    count = 0

    async def handle(reader, writer):
        nonlocal count
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                count += 1
                path = os.path.join(folder, f"{count}.hl7")
                with open(path + ".part", "w", encoding="utf-8") as out:
                    out.write(str(message).replace("\r", "\n"))
                os.rename(path + ".part", path)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            if not writer.is_closing():
                writer.close()

    server = await start_hl7_server(handle, host="127.0.0.1", port=port, encoding="utf-8")
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
