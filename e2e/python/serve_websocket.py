"""A WebSocket server that returns each message. It prints its port, and serves until its standard input ends."""

import asyncio
import contextlib
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def echo(client: ServerConnection) -> None:
    # A client may break the protocol.
    with contextlib.suppress(ConnectionClosed):
        async for message in client:
            await client.send(message)


async def main() -> None:
    async with serve(echo, "127.0.0.1", 0, max_size=None, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
