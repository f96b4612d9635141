"""
The calls that make no pictures: money, jobs under way, models, and what an
account has made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs

from ._accounts import Account, Accounts
from ._faults import Reply
from ._files import Files
from ._jobs import Jobs
from ._parameters import whole
from ._refusals import error
from ._state import State


#: Model, and its name.
_MODELS = (
    ("flux", "Flux"),
    ("fluxdev", "Flux Dev"),
    ("fluxschnell", "Flux Schnell"),
    ("flux-kontext-dev", "Flux Kontext Dev"),
    ("z-image-turbo", "Z-Image Turbo"),
    ("midjourney", "MidJourney V4"),
    ("sdxl", "Stable Diffusion XL"),
    ("realistic-vision-51", "Realistic Vision 5.1"),
    ("ae-sdxl-v1", "AE SDXL"),
    ("lazymixv4-inpaint", "Lazymix v4 Inpaint"),
    ("qwen-edit-2511", "Qwen Edit 2511"),
    ("realesr-general-x4v3", "Real-ESRGAN General"),
    ("imagen-4", "Imagen 4"),
    ("nano-banana-pro", "Nano Banana Pro"),
    ("seedream-4.5", "Seedream 4.5"),
)


@attrs.frozen
class Question:
    """
    What somebody asks.

    Attributes:
        fields: Of the body, and of the query.

        origin: Where links lead.
    """

    account: Account
    fields: Mapping[str, object]
    origin: str


class Calls:
    """
    Answers them.
    """

    def __init__(
        self, state: State, accounts: Accounts, jobs: Jobs, files: Files
    ) -> None:
        self._state = state
        self._accounts = accounts
        self._jobs = jobs
        self._files = files

    async def balance(self, question: Question) -> Reply:
        """
        Money.
        """
        left = round(self._accounts.balance(question.account), 4)
        data = {"balance": left, "currency": "USD"}
        return Reply(200, {"status": "success", "data": data})

    async def products(self, question: Question) -> Reply:
        """
        What the plan has left.
        """
        made = sum(
            each.account is question.account
            for each in self._jobs.of(question.account)
        )
        plan = {
            "total_api_call": 100_000,
            "api_call_remaining": 100_000 - made,
            "percentage_used": made // 1000,
        }
        return Reply(200, {"status": "success", "data": {"imagen": plan}})

    async def count(self, question: Question) -> Reply:
        """
        Jobs under way.
        """
        if not self._accounts.count(question.account):
            body = {"status": "error", "message": "Too Many Attempts."}
            return Reply(429, body)
        account = question.account
        text = "Current processing request count retrieved successfully"
        return Reply(
            200,
            {
                "status": "success",
                "processing_count": account.unfinished + account.occupied,
                "message": text,
            },
        )

    async def models(self, question: Question) -> Reply:
        """
        The public models: a bare array.
        """
        return Reply(200, self._listed())

    async def searched_models(self, question: Question) -> Reply:
        """
        The same, as the newer API has it: pages, and a search.
        """
        wanted = str(question.fields.get("search") or "").lower()
        found = [
            {
                "model_id": each["model_id"],
                "model_name": each["model_name"],
                "provider": "modelslab",
                "model_type": "image",
                "feature": "imagen",
            }
            for each in self._listed()
            if wanted in f"{each['model_id']} {each['model_name']}".lower()
        ]
        size = whole(question.fields.get("per_page")) or 20
        page = whole(question.fields.get("page")) or 1
        shown = found[(page - 1) * size : page * size]
        return Reply(
            200,
            {"error": None, "data": shown, "meta": {"total": len(found)}},
        )

    def _listed(self) -> list[dict[str, object]]:
        settings = self._state.settings
        names = dict(_MODELS)
        ids = sorted(settings.models) if settings.models else list(names)
        return [
            {
                "model_id": model_id,
                "status": "model_ready",
                "created_at": None,
                "instance_prompt": None,
                "model_name": names.get(model_id, model_id),
                "description": None,
                "screenshots": None,
            }
            for model_id in ids
            if model_id not in settings.unknown_models
        ]

    async def assets(self, question: Question) -> Reply:
        """
        What the account has made: no date, prompt, status or track_id.
        """
        settings = self._state.settings
        kind = question.fields.get("type")
        if settings.assets == "refused":
            return error(settings, 403, "An enterprise key is required.")
        if kind in (None, ""):
            return error(settings, 400, "The type field is required.")
        if kind not in {"image", "video", "voice", "3d"}:
            return error(settings, 400, "The selected type is invalid.")

        size = min(30, max(1, whole(question.fields.get("per_page")) or 10))
        page = max(1, whole(question.fields.get("page")) or 1)
        jobs = [
            job
            for job in self._jobs.of(question.account)
            if kind == "image" and job.record.succeeded
        ]
        start = (page - 1) * size
        shown = jobs[start : start + size]
        data = []
        for job in shown:
            facts = await self._files.facts(job, question.origin)
            data.append({"id": job.id, "output": list(facts.links)})
        pagination = {
            "current_page": page,
            "per_page": size,
            "total": len(jobs),
            "last_page": max(1, -(-len(jobs) // size)),
            "from": start + 1 if shown else None,
            "to": start + len(shown) if shown else None,
        }
        return Reply(
            200,
            {
                "status": "success",
                "type": kind,
                "data": data,
                "pagination": pagination,
            },
        )


Answering: TypeAlias = Callable[[Calls, Question], Awaitable[Reply]]

#: By method and path behind ``/api/``.
CALLS: Mapping[tuple[str, str], Answering] = {
    ("POST", "wallet_balance"): Calls.balance,
    ("GET", "subscribed_products"): Calls.products,
    ("POST", "v6/processing/request_count"): Calls.count,
    ("POST", "v4/dreambooth/model_list"): Calls.models,
    ("GET", "v7/models"): Calls.searched_models,
    ("GET", "v6/model-search"): Calls.searched_models,
    ("GET", "agents/v1/models"): Calls.searched_models,
    ("GET", "agents/v1/wallet/balance"): Calls.balance,
    ("POST", "assets_generated"): Calls.assets,
    ("POST", "v6/assets_generated"): Calls.assets,
}
