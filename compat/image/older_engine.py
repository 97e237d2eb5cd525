"""Lets a client that insists on a newer API of the engine talk to an older engine: older_engine.py SOCKET ENGINE VERSION.

Listens on SOCKET, passes all on to the socket of the URL ENGINE, and puts VERSION, e.g. 1.41, in the place of the version that a
request's path has. The Rust module asks for the version that it was made with and does not negotiate.
"""

import asyncio
import re
import sys

listen, engine, version = sys.argv[1:]
engine = engine.removeprefix("unix://")
path = re.compile(rb"^([A-Z]+ /v)[0-9.]+(?=/)")


async def relay(reader, writer, change):
    while data := await reader.read(65536):
        writer.write(change(data))
        await writer.drain()
    writer.write_eof()


async def serve(reader, writer):
    to_engine = await asyncio.open_unix_connection(engine)
    older = rb"\g<1>" + version.encode()
    await asyncio.gather(
        relay(reader, to_engine[1], lambda data: path.sub(older, data)),
        relay(to_engine[0], writer, lambda data: data),
        return_exceptions=True,
    )
    writer.close()
    to_engine[1].close()


async def main():
    async with await asyncio.start_unix_server(serve, listen) as server:
        await server.serve_forever()


asyncio.run(main())
