"""Opens a WebSocket, and sends a message of the length that each line of the standard input names. Prints `same` for each message that
comes back unchanged. After the line `wait`, prints the code with which the socket is closed. After the line `close`, closes it first,
and prints the messages that still arrive."""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['KEY']}"}
    async with connect(os.environ["URL"], additional_headers=headers, max_size=None, compression=None) as socket:
        loop = asyncio.get_running_loop()
        while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            if line == "close":
                closing = asyncio.create_task(socket.close())
                print(*[message async for message in socket], sep=", ", flush=True)
                await closing
                print(socket.close_code, flush=True)
                return
            if line == "wait":
                try:
                    print(repr(await socket.recv()), flush=True)
                except ConnectionClosed as closed:
                    print(closed.rcvd.code if closed.rcvd else "none", flush=True)
                return
            message = os.urandom(1_024) * (int(line) // 1_024) or b"x"
            await socket.send(message)
            print("same" if await socket.recv() == message else "different", flush=True)


asyncio.run(main())
