"""
What a connection of its own costs a paid request.

    python benchmarks/connections.py

A server over TLS on loopback, in a process of its own; requests one after the
other, over one kept connection and over a new one each.  The round trips that
a handshake takes come on top: TCP 1, TLS 1.3 1.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import ssl
import tempfile
import time

import aiohttp
import trustme

from aiohttp import web


COUNT = 500


def serve(cert: str, pipe: multiprocessing.connection.Connection) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"status": "success"})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(cert)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        pipe.send(runner.addresses[0][1])
        await asyncio.sleep(3600)

    asyncio.run(main())


async def measure(port: int, trust: ssl.SSLContext, *, keep: bool) -> None:
    connector = aiohttp.TCPConnector(ssl=trust, force_close=not keep)
    async with aiohttp.ClientSession(connector=connector) as session:
        for count in (20, COUNT):
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(count):
                async with session.post(
                    f"https://localhost:{port}/", data=b"{}" * 100
                ) as response:
                    await response.read()
    wall = (time.perf_counter() - wall) / COUNT * 1e3
    cpu = (time.process_time() - cpu) / COUNT * 1e3
    kind = "kept" if keep else "new each"
    print(f"{kind:10} {wall:6.2f} ms wall {cpu:6.2f} ms CPU a request")


def main() -> None:
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    ours, theirs = multiprocessing.Pipe()
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        issued = authority.issue_cert("localhost")
        file.write(issued.private_key_and_cert_chain_pem.bytes())
        file.flush()
        server = multiprocessing.Process(
            target=serve, args=(file.name, theirs), daemon=True
        )
        server.start()
        port = ours.recv()
        for keep in (True, False):
            asyncio.run(measure(port, trust, keep=keep))
        server.terminate()


if __name__ == "__main__":
    main()
