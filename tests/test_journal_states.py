"""
What a journal means; nothing is written here.
"""

from __future__ import annotations

import pickle

from typing import Any, get_args

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async import errors
from modelslab_async.errors import (
    AuthenticationError,
    DownloadError,
    GenerationFailedError,
    InvalidRequestError,
    JobNotFoundError,
    ModelNotFoundError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
    PermissionDeniedError,
    Problem,
    ProtocolError,
    RateLimitedError,
    ServerError,
    SpecError,
    TransportError,
)
from modelslab_async.journal import (
    MOVES,
    Accepted,
    Discarded,
    Done,
    Entry,
    Failed,
    IllegalMove,
    Planned,
    Receipt,
    Start,
    State,
    Step,
    Stored,
    Submitting,
    Unknown,
    after,
    error_json,
    error_of,
    fingerprint,
    first_step,
    generation_json,
    generation_of,
    may,
    on_start,
    receipt_json,
    receipt_of,
)
from modelslab_async.journal.codec import SavedName
from modelslab_async.journal.states import ON_START
from modelslab_async.results import Generation, Image


PICTURE = Generation(
    "1",
    "t",
    (Image(0, "https://x.example/0.png"),),
    seed=7,
    meta_json=b'{"a":1}',
    raw_json=b'{"b":2}',
)
ITEM = Entry(3, '{"prompt":"a cat"}', "identity", "mine")


def gone(*steps: Step) -> Entry:
    """
    The item after these steps.
    """
    entry = ITEM
    for step in steps:
        entry = after(entry, step)
    return entry


RECEIPT = Receipt(
    "1", "text2img", "t", "https://x.example/f", 5.0, 7, ("u",), b'{"a":1}'
)
ACCEPTED = (Submitting("t"), Accepted(RECEIPT, 100.0))


class TestTable:
    def test_is_total(self) -> None:
        """
        Each step is in the table, and each state is led to and started from.
        """
        steps = set(get_args(Step))
        led_to = {move.target for move in MOVES.values()}

        assert set(MOVES) == steps
        assert led_to == set(ON_START) == set(State)

    @pytest.mark.parametrize(
        ("now", "then"),
        [
            ("planned", "submitting"),
            ("submitting", "planned accepted done failed unknown"),
            ("accepted", "done failed"),
            ("done", "done stored failed"),
            ("stored", ""),
            ("failed", "planned"),
            ("unknown", "accepted planned"),
        ],
    )
    def test_is_the_design(self, now: str, then: str) -> None:
        """
        The arrows are those that the batch was thought through with; only
        the end of a simulator has some of its own.
        """
        allowed = {State[name.upper()] for name in then.split()}

        assert {
            move.target
            for step, move in MOVES.items()
            if State[now.upper()] in move.sources and step is not Discarded
        } == allowed

    def test_numbers_are_on_disk(self) -> None:
        """
        A state keeps the number that files know it by.
        """
        assert [state.name for state in sorted(State)] == [
            "PLANNED",
            "SUBMITTING",
            "ACCEPTED",
            "DONE",
            "STORED",
            "FAILED",
            "UNKNOWN",
        ]
        assert sorted(State) == list(range(7))


class TestAfter:
    def test_illegal_step_names_both_states(self) -> None:
        """
        Whoever has to find the bug is told item and states.
        """
        with pytest.raises(IllegalMove, match=r"3 .* planned to stored"):
            after(ITEM, Stored((), 1.0))

    def test_submitting_counts(self) -> None:
        """
        Each request is one attempt, under its own name, and knows nothing of
        the one before.
        """
        failed = gone(*ACCEPTED, Failed(ServerError(500, "no")))

        entry = after(after(failed, Planned()), Submitting("u"))

        assert entry == Entry(
            3,
            ITEM.spec,
            "identity",
            "mine",
            State.SUBMITTING,
            track_id="u",
            attempt=2,
        )

    def test_accepted_keeps_what_polls_do_not_tell(self) -> None:
        """
        Seed and meta come with the acceptance only.
        """
        entry = gone(*ACCEPTED)

        assert (entry.job_id, entry.accepted_at) == ("1", 100.0)
        assert entry.receipt == RECEIPT

    def test_done_keeps_the_receipt(self) -> None:
        """
        Who asks for fresh links needs all that the acceptance told.
        """
        entry = gone(*ACCEPTED, Done(PICTURE, 110.0))

        assert entry.receipt == RECEIPT

    def test_done_at_once(self) -> None:
        """
        A picture in the first answer needs no acceptance of its own.
        """
        entry = gone(Submitting("t"), Done(PICTURE, 100.0))

        assert (entry.state, entry.job_id) == (State.DONE, "1")
        assert (entry.accepted_at, entry.done_at) == (100.0, 100.0)

    def test_done_without_an_id(self) -> None:
        """
        The id of the acceptance stays where the last answer has none.
        """
        nameless = attrs.evolve(PICTURE, id=None)

        entry = gone(*ACCEPTED, Done(nameless, 110.0))

        assert entry.job_id == "1"
        assert (entry.accepted_at, entry.done_at) == (100.0, 110.0)

    def test_fresh_links(self) -> None:
        """
        Done again means other links.
        """
        fresh = attrs.evolve(PICTURE, images=(Image(0, "https://y.example"),))

        entry = gone(*ACCEPTED, Done(PICTURE, 110.0), Done(fresh, 120.0))

        assert entry.generation == fresh

    def test_bell_of_an_unknown_item(self) -> None:
        """
        An item that was accepted after all is no longer in doubt.
        """
        lost = Unknown(OutcomeUnknownError("t", "waiting", "gone"))

        entry = gone(Submitting("t"), lost, Accepted(RECEIPT, 100.0))

        assert (entry.state, entry.error) == (State.ACCEPTED, None)

    def test_stored_drops_inline_pictures(self) -> None:
        """
        Bytes that are a file now are not kept a second time.
        """
        inline = attrs.evolve(PICTURE, images=(Image(0, None, None, b"x"),))

        entry = gone(*ACCEPTED, Done(inline, 1.0), Stored(("a.png",), 2.0))
        kept = entry.generation

        assert kept is not None
        assert kept.images == (Image(0, None),)
        assert (kept.raw_json, kept.meta_json) == (b"{}", b'{"a":1}')

    def test_stored_keeps_links(self) -> None:
        """
        A generation whose pictures came as links is kept as it is.
        """
        entry = gone(*ACCEPTED, Done(PICTURE, 1.0), Stored(("a.png",), 2.0))

        assert entry.generation == PICTURE
        assert entry.files == ("a.png",)

    @pytest.mark.parametrize(
        "step", [Planned(), Discarded()], ids=["planned", "discarded"]
    )
    def test_planned_again(self, step: Step) -> None:
        """
        An item planned again has no trace of what it was, but its name and
        its count.
        """
        lost = Unknown(OutcomeUnknownError("t", "waiting"))

        entry = gone(Submitting("t"), lost, step)

        assert entry == attrs.evolve(ITEM, track_id="t", attempt=1)


class TestFirstStep:
    def test_killed(self) -> None:
        """
        What a dead process left says under which name to look for it.
        """
        step = first_step(gone(Submitting("t")), another_simulator=False)

        assert isinstance(step, Unknown)
        assert (step.error.track_id, step.error.phase) == ("t", "killed")

    @pytest.mark.parametrize("state", State)
    def test_is_legal(self, state: State) -> None:
        """
        Whatever a run finds, the table allows what it does with it.
        """
        entry = attrs.evolve(ITEM, state=state)

        for another in (True, False):
            step = first_step(entry, another_simulator=another)
            assert step is None or may(entry, step)


class TestStart:
    @pytest.mark.parametrize(
        ("entry", "output", "start"),
        [
            (gone(), True, Start.SUBMIT),
            (gone(Submitting("t")), True, Start.REPORT),
            (gone(*ACCEPTED), True, Start.POLL),
            (gone(*ACCEPTED, Done(PICTURE, 1.0)), True, Start.DOWNLOAD),
            (gone(*ACCEPTED, Done(PICTURE, 1.0)), False, Start.GIVE),
            (
                gone(*ACCEPTED, Done(PICTURE, 1.0), Stored((), 2.0)),
                True,
                Start.GIVE,
            ),
        ],
    )
    def test_by_state(self, entry: Entry, output: bool, start: Start) -> None:
        """
        Each state has its own way on; without files, done is the end.
        """
        assert on_start(entry, output=output) is start

    @pytest.mark.parametrize(
        ("error", "start"),
        [
            (TransportError("refused", False), Start.PLAN),
            (ProtocolError("moved"), Start.PLAN),
            (ServerError(200, "Try Again"), Start.PLAN),
            (RateLimitedError(429, "later"), Start.PLAN),
            (AuthenticationError(401, "key"), Start.PLAN),
            (PaymentRequiredError(402, "credit"), Start.PLAN),
            (PermissionDeniedError(403, "plan"), Start.PLAN),
            (InvalidRequestError(422, "prompt"), Start.REPORT),
            (ModelNotFoundError(404, "model"), Start.REPORT),
            (GenerationFailedError("1"), Start.REPORT),
            (JobNotFoundError("1"), Start.REPORT),
            (DownloadError("gone"), Start.REPORT),
            (SpecError((Problem("seed", "no"),)), Start.REPORT),
        ],
    )
    def test_by_error(self, error: ModelsLabError, start: Start) -> None:
        """
        What nothing was bought for is asked again; what was refused for its
        content, or paid for, only at the user's word.
        """
        entry = gone(Submitting("t"), Failed(error))

        assert on_start(entry, output=True) is start
        assert on_start(entry, output=True, resubmit_failed=True) is Start.PLAN

    def test_unknown_needs_the_users_word(self) -> None:
        """
        Nothing that may have been paid for is asked for unasked.
        """
        lost = Unknown(OutcomeUnknownError("t", "waiting"))
        entry = gone(Submitting("t"), lost)

        assert on_start(entry, output=True) is Start.REPORT
        assert (
            on_start(entry, output=True, resubmit_failed=True) is Start.REPORT
        )
        assert (
            on_start(entry, output=True, resubmit_unknown=True) is Start.PLAN
        )

    def test_failure_that_cannot_be_read(self) -> None:
        """
        A record that nobody can read is reported, and never asked for again.
        """
        entry = attrs.evolve(ITEM, state=State.FAILED, error_json="?")

        assert on_start(entry, output=True) is Start.REPORT


EVERY = sorted(
    {
        found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, ModelsLabError)
    },
    key=lambda kind: kind.__name__,
)
#: Whatever the fields' types are: what a class does not check must not matter.
SOMETHING: dict[str, Any] = {
    "problems": (Problem("seed", "no"), Problem("width", "\ud800")),
    "generation": PICTURE,
    "paths": (SavedName("/out/a.png"),),
    "raw": {"list": [1, None, "é\ud800"], "n": 1.5},
}


@pytest.mark.parametrize("kind", EVERY)
class TestErrors:
    def test_every_error_comes_back(self, kind: type[ModelsLabError]) -> None:
        """
        Class and facts are the same, and can be pickled on.
        """
        fields = attrs.fields(kind) if attrs.has(kind) else ()
        facts = {
            field.name: SOMETHING.get(field.name, f"a {field.name}")
            for field in fields
        }
        error = kind(*(facts[field.name] for field in fields if field.init))
        for field in fields:
            setattr(error, field.name, facts[field.name])
        error.__cause__ = TransportError("reset", True)

        found = error_of(error_json(error))
        copied = pickle.loads(pickle.dumps(found))

        assert type(found) is type(copied) is kind
        assert {name: getattr(found, name) for name in facts} == facts
        assert {name: getattr(copied, name) for name in facts} == facts
        assert isinstance(found.__cause__, TransportError)
        assert found.__cause__.sent


class TestErrorTexts:
    def test_stranger_is_its_parent(self) -> None:
        """
        An error of somebody's own is kept as the nearest of ours.
        """

        class OddError(ServerError):
            pass

        found = error_of(error_json(OddError(503, "no")))

        assert type(found) is ServerError
        assert found.status == 503

    def test_foreign_fact(self) -> None:
        """
        A fact that no JSON has is kept as its text.
        """
        error = GenerationFailedError("1", raw=object())  # type: ignore[arg-type]  # the point

        found = error_of(error_json(error))

        assert isinstance(found, GenerationFailedError)
        assert "object" in str(found.raw)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1",
            "[]",
            "{}",
            '{"error":"NoSuchError","facts":{}}',
            '{"error":"ServerError","facts":{}}',
            '{"error":"ServerError","facts":7}',
        ],
    )
    def test_nonsense(self, text: str) -> None:
        """
        A report never fails for what it reports.
        """
        assert type(error_of(text)) is ModelsLabError

    def test_saved_name(self) -> None:
        """
        A path that was written down has a name, and opens.
        """
        saved = SavedName("/out/a.png")

        assert (saved.name, saved.__fspath__()) == ("a.png", "/out/a.png")


@given(
    st.builds(
        Generation,
        id=st.none() | st.text(),
        track_id=st.none() | st.text(),
        images=st.lists(
            st.builds(
                Image,
                index=st.integers(0, 9),
                url=st.none() | st.text(),
                proxy_url=st.none() | st.text(),
                data=st.none() | st.binary(),
            )
        ).map(tuple),
        seed=st.none() | st.integers(0, 4294967295),
        generation_time=st.none() | st.floats(0, 1e9),
        nsfw=st.none() | st.booleans(),
        meta_json=st.binary(),
        raw_json=st.binary(),
    )
)
def test_any_generation_comes_back(generation: Generation) -> None:
    """
    Text loses nothing of a generation.
    """
    assert generation_of(generation_json(generation)) == generation


@given(
    st.builds(
        Receipt,
        id=st.none() | st.text(),
        endpoint=st.text(),
        track_id=st.none() | st.text(),
        fetch_result=st.none() | st.text(),
        eta=st.none() | st.floats(0, 1e9),
        seed=st.none() | st.integers(0, 4294967295),
        expected_urls=st.lists(st.text()).map(tuple),
        meta_json=st.binary(),
    )
)
def test_any_receipt_comes_back(receipt: Receipt) -> None:
    """
    Text loses nothing of a receipt.
    """
    assert receipt_of(receipt_json(receipt)) == receipt


def test_fingerprint() -> None:
    """
    A key cannot be read from its fingerprint, nor compared over journals.
    """
    here = fingerprint(b"0" * 16, "a-key")

    assert here == fingerprint(b"0" * 16, lambda: "a-key")
    assert here != fingerprint(b"1" * 16, "a-key")
    assert here != fingerprint(b"0" * 16, "b-key")
    assert "a-key" not in here
    assert fingerprint(b"", "\ud800")
