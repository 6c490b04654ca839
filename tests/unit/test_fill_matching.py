"""Which possible pairs of fills are certain, and which are left to a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from omc_pipeline.ledgers.matching import Candidate, Reported, assigned

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def api(name: str, account: str = "one") -> Reported:
    return Reported(account, name, "api", T0 + timedelta(hours=1), True)


def file(name: str, account: str = "one", source: str = "file") -> Reported:
    return Reported(account, name, source, T0, False)


def pair(first: Reported, second: Reported, *, is_exact: bool = False) -> Candidate:
    return Candidate(first, second, is_exact, "facts")


def test_the_fill_of_the_accounts_own_source_counts_though_the_file_came_first() -> None:
    one = pair(file("f"), api("a"))

    assert (one.counting, one.duplicate) == (("one", "a"), ("one", "f"))


def test_a_pair_without_a_rival_is_certain_and_its_mirror_image_is_not_a_second_one() -> None:
    certain, proposed = assigned([pair(api("a"), file("f")), pair(file("f"), api("a"))])

    assert (len(certain), proposed) == (1, [])


def test_a_fill_with_two_candidates_that_differ_is_proposed_with_both() -> None:
    certain, proposed = assigned([pair(api("a"), file("f")), pair(api("b"), file("f"))])

    assert certain == []
    assert [one.counting for one in proposed] == [("one", "a"), ("one", "b")]


def test_an_exact_candidate_wins_over_one_within_rounding() -> None:
    certain, proposed = assigned([pair(api("b"), file("f")), pair(api("a"), file("f"), is_exact=True)])

    assert [one.counting for one in certain] == [("one", "a")]
    assert proposed == []


def test_a_fill_of_another_account_is_never_certain() -> None:
    certain, proposed = assigned([pair(api("a"), api("a", "two"), is_exact=True)])

    assert (certain, len(proposed)) == ([], 1)


def test_three_doors_make_two_duplicates_of_one_fill() -> None:
    a, f, g = api("a"), file("f"), file("g", source="tool")

    certain, proposed = assigned([pair(f, g, is_exact=True), pair(a, g, is_exact=True), pair(a, f, is_exact=True)])

    assert {one.counting for one in certain} == {("one", "a")}
    assert proposed == []
    assert {one.duplicate for one in certain} == {("one", "f"), ("one", "g")}


@given(there=st.integers(1, 6), here=st.integers(1, 6), order=st.randoms())
def test_of_exchangeable_fills_as_many_are_paired_as_both_doors_tell(there: int, here: int, order: object) -> None:
    found = [pair(api(f"a{n}"), file(f"f{m}"), is_exact=True) for n in range(there) for m in range(here)]
    order.shuffle(found)  # type: ignore[attr-defined]

    certain, proposed = assigned(found)

    assert (len(certain), proposed) == (min(there, here), [])
    assert len({one.counting for one in certain}) == len({one.duplicate for one in certain}) == len(certain)
