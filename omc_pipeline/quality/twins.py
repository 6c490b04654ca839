"""Find texts that are held twice: under two ids with one link, or within an hour with nearly the same words."""

from __future__ import annotations

ALIKE = 0.75
"""Share of the words that two titles have in common, of all words of both."""
LEAST_WORDS = 4
NEIGHBOURS = 6
"""Later titles that each is compared with."""


def twins(name: str, clock: str, title: str, same: tuple[str, ...], distinct: tuple[str, ...], link: str, comparable: str) -> str:
    """Compose the pairs of a table's rows that tell the same: ``id``, ``other``, ``at``, ``title``.

    Args:
        name: Column of the id.
        clock: When it was published.
        title: Column of the words.
        same: Columns in which twins agree.
        distinct: Columns in which twins may not differ, NULL agreeing with NULL.
        link: Column that no two rows share; empty: links may be shared.
        comparable: Predicate of the rows of which titles are compared.
    """
    parts, agree = ", ".join(same), " AND ".join(f"a.{each} IS NOT DISTINCT FROM b.{each}" for each in distinct) or "true"
    words = f"array_remove(regexp_split_to_array(lower({title}), '[^[:alnum:]]+'), '')"
    shared = "cardinality(ARRAY(SELECT unnest(a.words) INTERSECT SELECT unnest(b.words)))"
    every = "cardinality(ARRAY(SELECT unnest(a.words) UNION SELECT unnest(b.words)))"
    near = f"""SELECT a.id, b.id AS other, a.at, a.title FROM (
            SELECT {name} AS id, {clock} AS at, {title} AS title, {words} AS words, {", ".join((*same, *distinct))},
                row_number() OVER (PARTITION BY {parts} ORDER BY {clock}, {name}) AS place FROM w WHERE {comparable}) AS a
        JOIN (SELECT {name} AS id, {clock} AS at, {words} AS words, {", ".join((*same, *distinct))},
                row_number() OVER (PARTITION BY {parts} ORDER BY {clock}, {name}) AS place FROM w WHERE {comparable}) AS b
            ON {" AND ".join(f"a.{each} = b.{each}" for each in same)} AND b.place BETWEEN a.place + 1 AND a.place + {NEIGHBOURS}
        WHERE b.at - a.at <= interval '1 h' AND {agree} AND cardinality(a.words) >= {LEAST_WORDS}
            AND {shared} >= {ALIKE} * {every}"""
    if not link:
        return near
    return f"""{near} UNION SELECT min({name}), max({name}), max({clock}), max({title}) FROM w WHERE {link} IS NOT NULL
        GROUP BY {", ".join((link, *distinct))} HAVING count(DISTINCT {name}) > 1"""
