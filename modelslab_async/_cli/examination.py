"""
The service, tried with a key, step by step: each finding is what this library
assumes beside what was found.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
import time

from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import urlsplit

import anyio.to_thread
import attrs

from .._checks import endpoint_of
from .._engine.api_key import ApiKey
from .._engine.http import SessionPool
from .._engine.links import origin_of
from .._engine.network import NetworkOptions
from .._engine.runtime import Runtime
from .._observing import Observers
from .._policy.timeouts import Timeouts
from .._protocol.decode import decode
from .._protocol.encode import api_url
from .._protocol.json_text import compact_json
from .._protocol.replies import (
    CAP_BASE64_BYTES,
    Call,
    Exchange,
    Processing,
    Reply,
    Success,
)
from .._protocol.uploads import encode_upload
from ..errors import ConfigurationError, DownloadError, TransportError
from ..results import JSON
from . import assumptions as assumed
from .assumptions import Finding, Verdict, compared, failed, skipped
from .context import Service
from .environment import incomplete


#: The smallest picture that any source allows, of a model that is cheap.
_SMALLEST: Mapping[str, JSON] = {
    "prompt": "a red square on white paper",
    "model_id": "flux",
    "width": 256,
    "height": 256,
    "samples": 1,
    "seed": 7,
}
#: The first that there is.
_ENDPOINT = endpoint_of(None)
_FETCH = _ENDPOINT.family.fetch_path
#: Of our own making, 1 pixel.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc0f01f0005000101"
    "6d0a2db40000000049454e44ae426082"
)
_BALANCE = "wallet_balance"
#: Seconds that a generation may take.
_PATIENCE = 300.0
#: Seconds between two polls; each pause is a third longer.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
#: How often a job may be done without a picture.
_EMPTY = 3


@attrs.define(eq=False)
class Examination:
    """
    One visit.

    What changes: the exchanges, as they come.
    """

    base_url: str
    pool: SessionPool = attrs.field(init=False)
    key: ApiKey = attrs.field(repr=False)
    proxy: str | None = attrs.field(default=None, repr=False)
    trusted_hosts: Sequence[str] = ()
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    exchanges: list[Exchange] = attrs.field(factory=list, init=False)

    @classmethod
    def of(cls, url: str, key: ApiKey, service: Service) -> Examination:
        """
        Of a service by its address, as the shell was told to ask it.

        Raises:
            ConfigurationError: There is no key, or an option cannot be.
        """
        faults = [] if origin_of(url) else [f"base_url: no address: {url!r}"]
        proxy = service.proxy or os.environ.get("MODELSLAB_PROXY") or None
        hosts = service.trusted_hosts
        faults += NetworkOptions(proxy=proxy, trusted_hosts=hosts).faults()
        if faults:
            raise ConfigurationError("; ".join(faults))
        # A simulator that runs faster draws its pictures no faster.
        speed = service.speed if service.simulate else 1.0
        timeouts = Timeouts().faster(speed, silence=5.0)
        examination = cls(url, key, proxy, hosts, timeouts)
        # Said before anything is asked for.
        examination.key.reveal()
        return examination

    async def aclose(self) -> None:
        """
        Close what was opened.
        """
        await self.pool.aclose()
        self.pool.runtime.close()

    async def run(self, *, spend: bool) -> AsyncIterator[Finding]:
        """
        Step by step; the first that nothing can follow is the last.
        """
        self.pool = SessionPool(
            Runtime(self.timeouts, Observers()),
            self.key,
            self.base_url,
            NetworkOptions(
                proxy=self.proxy,
                trusted_hosts=self.trusted_hosts,
                tap=self.exchanges.append,
            ),
        )
        self.pool.open()
        yield Finding(
            "configuration",
            "a key is set, and an address is known",
            f"{self.base_url}" + (", by a proxy" if self.proxy else ""),
            Verdict.FINE,
        )
        async for finding in self._line():
            yield finding
            if finding.verdict is Verdict.FAILED:
                return
        async for finding in self._free():
            yield finding
        if spend:
            async for finding in self._paid():
                yield finding
        else:
            yield skipped("generation", "works", "say --spend to pay for one")

    # The line

    async def _line(self) -> AsyncIterator[Finding]:
        where = urlsplit(self.base_url)
        host = where.hostname or ""
        port = where.port or (443 if where.scheme == "https" else 80)
        if self.proxy is not None:
            yield skipped("name", "is found", "the proxy looks it up")
            return
        try:
            found = await anyio.to_thread.run_sync(
                socket.getaddrinfo, host, port
            )
        except (OSError, UnicodeError) as exc:
            yield failed("name", f"{host} is found", exc)
            return
        addresses = sorted({str(one[4][0]) for one in found})
        yield Finding(
            "name", f"{host} is found", ", ".join(addresses), Verdict.FINE
        )
        if where.scheme == "https":
            yield await anyio.to_thread.run_sync(_certificate, host, port)

    # What costs nothing

    async def _free(self) -> AsyncIterator[Finding]:
        for path, step, look in (
            (_BALANCE, "balance", assumed.of_balance),
            (
                "v6/processing/request_count",
                "jobs under way",
                assumed.of_count,
            ),
            ("v4/dreambooth/model_list", "models", assumed.of_models),
        ):
            exchange = await self._ask(path, {}, CAP_BASE64_BYTES)
            if isinstance(exchange, str):
                if path == _BALANCE:
                    yield failed("key", "is answered", exchange)
                yield failed(step, "is answered", exchange)
                continue
            for finding in look(exchange):
                yield finding
        wrong = await self._ask(_ENDPOINT.path, {"width": 7})
        if isinstance(wrong, str):
            yield failed("a wrong request", "is answered", wrong)
        else:
            for finding in assumed.of_wrong_request(wrong):
                yield finding
        async for finding in self._fetches("1"):
            yield finding

    async def _fetches(self, job_id: str) -> AsyncIterator[Finding]:
        for form, path in (
            ("path", f"{_FETCH}/{job_id}"),
            ("body", _FETCH),
        ):
            found = await self._ask(path, {"request_id": job_id})
            if isinstance(found, str):
                yield failed(f"fetch by the {form}", "is answered", found)
            elif job_id == "1":
                for finding in assumed.of_unknown_job(found, form):
                    yield finding
            else:
                for finding in assumed.of_poll(found, form):
                    yield finding

    # What is paid for

    async def _paid(self) -> AsyncIterator[Finding]:
        before = await self._balance()
        uploaded = await self._send(encode_upload(self.base_url, _PIXEL))
        if isinstance(uploaded, str):
            yield failed("upload", "is answered", uploaded)
        else:
            for finding in assumed.of_upload(uploaded):
                yield finding
        track_id = str(random.randrange(10**17, 10**18))
        began = time.monotonic()
        async for finding in self._generated(track_id, began):
            yield finding
        after = await self._balance()
        if before is not None and after is not None:
            yield Finding(
                "cost",
                "is told nowhere; by the balance",
                f"{before - after:.4f}",
                Verdict.FINE,
            )

    async def _balance(self) -> float | None:
        found = await self._ask(_BALANCE, {})
        if isinstance(found, str):
            return None
        data = assumed.fields_of(found).get("data")
        left = data.get("balance") if isinstance(data, dict) else None
        return float(left) if isinstance(left, int | float) else None

    async def _generated(
        self, track_id: str, began: float
    ) -> AsyncIterator[Finding]:
        flags: JSON
        for flags in ("no", False):
            body = {
                **_SMALLEST,
                "safety_checker": flags,
                "track_id": track_id,
            }
            exchange = await self._ask(_ENDPOINT.path, body)
            if isinstance(exchange, str):
                yield failed("submit", "is answered", exchange)
                return
            answer = decode(Reply(exchange.status, exchange.body))
            taken = isinstance(answer, Success | Processing)
            refusal = assumed.refusal_of(exchange)
            yield compared(
                "submit",
                "flags are taken as yes and no"
                if flags == "no"
                else "flags are taken as booleans",
                refusal.message if refusal else f"HTTP {exchange.status}",
                taken,
            )
            if taken:
                break
        else:
            return
        for finding in assumed.of_submit(
            exchange, track_id=track_id, origin=origin_of(self.base_url)
        ):
            yield finding
        async for finding in self._awaited(exchange, answer, began):
            yield finding

    async def _awaited(
        self, exchange: Exchange, answer: object, began: float
    ) -> AsyncIterator[Finding]:
        eta = assumed.fields_of(exchange).get("eta")
        job_id = getattr(answer, "id", None)
        if job_id is not None:
            async for finding in self._fetches(str(job_id)):
                yield finding
        pause, empty = _FIRST_PAUSE / self.timeouts.speed, 0
        while not (isinstance(answer, Success) and answer.images):
            empty += isinstance(answer, Success)
            late = time.monotonic() - began > _PATIENCE
            if job_id is None or late or empty > _EMPTY:
                for finding in assumed.of_result(exchange):
                    yield finding
                yield failed("result", "comes", "no picture that we can find")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, _LONGEST_PAUSE / self.timeouts.speed)
            found = await self._ask(
                f"{_FETCH}/{job_id}", {"request_id": job_id}
            )
            if isinstance(found, str):
                continue
            exchange = found
            answer = decode(
                Reply(exchange.status, exchange.body, url=self.base_url)
            )
            if exchange.status in {404, 405} or (
                assumed.fields_of(exchange).get("status") == "failed"
            ):
                yield failed("result", "comes", f"HTTP {exchange.status}")
                return
        for finding in assumed.of_result(exchange):
            yield finding
        for finding in assumed.of_duration(eta, time.monotonic() - began):
            yield finding
        for finding in await self._loaded(answer.images[0].url):
            yield finding

    async def _loaded(self, link: str | None) -> list[Finding]:
        try:
            if link is not None:
                async with self.pool.open_file(link) as reply:
                    async for _ in reply.chunks:
                        pass
        except (DownloadError, TransportError) as exc:
            return [failed("picture", "can be loaded", exc)]
        if link is None:
            return [failed("picture", "has a link", "it came in the answer")]
        return list(assumed.of_picture(self.exchanges[-1]))

    # Asking

    async def _ask(
        self, path: str, body: Mapping[str, JSON], cap_bytes: int = 4 << 20
    ) -> Exchange | str:
        """
        What came of one question; in words, where nothing did.
        """
        url = api_url(self.base_url, path)
        return await self._send(Call(url, compact_json(dict(body)), cap_bytes))

    async def _send(self, call: Call) -> Exchange | str:
        known = len(self.exchanges)
        heard = await self.pool.ask(call)
        if not isinstance(heard, Reply) or len(self.exchanges) <= known:
            return getattr(heard, "reason", "no answer")
        found = self.exchanges[-1]
        # One cause, which is told as that.
        if found.status == 404 and assumed.said(found) is None:
            if why := incomplete(self.base_url):
                return f"HTTP 404, and no JSON{why}"
        elif assumed.is_of_key(found) and not call.url.endswith(_BALANCE):
            return assumed.KEY_REFUSED
        return found


def _certificate(host: str, port: int) -> Finding:
    step, assumption = "certificate", f"is {host}'s, and in date"
    try:
        with (
            socket.create_connection((host, port), 10) as line,
            ssl.create_default_context().wrap_socket(
                line, server_hostname=host
            ) as tls,
        ):
            until = str((tls.getpeercert() or {}).get("notAfter", "?"))
            return compared(
                step, assumption, f"{tls.version()}, until {until}", good=True
            )
    except (OSError, ValueError) as exc:
        return failed(step, assumption, exc)
