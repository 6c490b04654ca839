"""``omc agent replay``, ``export`` and ``verify``: a brief can be written again, handed on with its rows, and checked anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import open_database
from omc_infra.settings import load_settings
from omc_infra.terminal import say


@click.command(
    help="Write the brief of a finished session again from its recorded rows and answers, and compare. No model is called.",
    epilog="Exit code 1: the brief differs from the published one.",
)
@click.argument("session", metavar="SESSION")
@json_option
def replay(session: str, as_json: bool) -> None:
    """Print the brief; exit 1 where it is not the published one."""
    from omc_agents.sessions.proof import recording_of
    from omc_agents.workflow.replay import replayed

    settings = load_settings()
    with open_database(settings) as database:
        recording = recording_of(database, session, settings.alert_threshold)
    again, published = replayed(recording), recording.proof.brief
    same = (again.title, again.body) == (published.title, published.body)
    if as_json:
        emit({"session": session, "same": same, "title": again.title, "body": again.body})
    else:
        say(f"{again.title}\n\n{again.body}\n\n{'same as published' if same else 'NOT the brief that was published'}")
    if not same:
        raise click.exceptions.Exit(1)


@click.command(help="Export a session's brief with its claims, their rows and digests as one document for `omc agent verify`.")
@click.argument("session", metavar="SESSION")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="New file to write. Default: stdout.")
@json_option
def export(session: str, out: Path | None, as_json: bool) -> None:
    """Print the document, or write it and print its digest; the document is JSON in any case."""
    from omc_agents.sessions.proof import recording_of

    settings = load_settings()
    with open_database(settings) as database:
        proof = recording_of(database, session, settings.alert_threshold).proof
    if out is None:
        emit(proof.as_document())
        return
    try:
        with out.open("x", encoding="utf-8") as opened:
            opened.write(json.dumps(proof.as_document(), indent=2) + "\n")
    except OSError as error:
        raise BadInputError(f"{out}: {error.strerror or error}") from error
    if as_json:
        emit({"file": str(out), "claims": len(proof.claims), "rows": len(proof.rows), "sha256": proof.sha256})
    else:
        say(f"{out}: {len(proof.claims)} claims, {len(proof.rows)} rows, sha256 {proof.sha256}")


@click.command(
    help=(
        "Check a document of `omc agent export` without a database: its digests, its claims against their rows, and the text of the brief."
    ),
    epilog="Exit code 1: something in the document is wrong.",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="PROOF_FILE")
@click.option("--sha256", "expected", help="Digest that the export printed; a different digest is an error.")
@json_option
def verify(file: Path, expected: str | None, as_json: bool) -> None:
    """Print what is wrong; exit 1 where anything is."""
    from omc_agents.claims.proof import MOST_BYTES, faults_of, read_proof

    try:
        with file.open("rb") as opened:
            body = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"{file}: {error.strerror or error}") from error
    proof = read_proof(body)
    faults = faults_of(proof)
    if expected is not None and expected.strip().lower() != proof.sha256:
        faults.insert(0, "the digest is not the expected one")
    if as_json:
        emit(
            {
                "session": proof.session.session_id,
                "holds": not faults,
                "faults": faults,
                "claims": len(proof.claims),
                "sha256": proof.sha256,
            }
        )
    else:
        say("\n".join(faults) if faults else f"holds: {len(proof.claims)} claims, {len(proof.rows)} rows, sha256 {proof.sha256}")
    if faults:
        raise click.exceptions.Exit(1)


@click.command(
    help="Show how the rows that a brief cites have changed: later versions, removed rows, and the sentences before and after.",
    epilog="Exit code 1: a claim changed since the brief was published.",
)
@click.argument("session", metavar="SESSION")
@json_option
def diff(session: str, as_json: bool) -> None:
    """Print the claims that changed; exit 1 where any did."""
    from omc_agents.sessions.proof import recording_of
    from omc_agents.sessions.restatement import claims_today, restated_of

    settings = load_settings()
    with open_database(settings) as database:
        claims = claims_today(database, recording_of(database, session, settings.alert_threshold).proof)
    changed = restated_of(claims)
    if as_json:
        emit({"session": session, "restated": changed, "claims": [vars(claim) for claim in claims]})
    else:
        for claim in claims:
            if claim.n in changed:
                say(f"{claim.n}. {claim.state}: {claim.ref}\n   before: {claim.before}\n   after:  {claim.after or 'no such sentence'}")
        say(f"{len(changed)} of {len(claims)} claims changed since the brief was published")
    if changed:
        raise click.exceptions.Exit(1)
