"""What a child process is handed of the settings."""

from __future__ import annotations

from pydantic import SecretStr

from omc_infra.settings import Settings, load_settings


def test_a_child_process_gets_only_the_keys_that_it_needs_with_those_of_every_account() -> None:
    names = ("coinspot", "coinspot__ada_coinspot", "coinspot_secret", "etherscan")
    settings = Settings(keys={name: SecretStr(name) for name in names})

    def handed(*wanted: str) -> set[str]:
        return {name for name in settings.environ(keys=wanted) if name.startswith("OMC_KEY_")}

    assert handed() == set()
    assert handed("coinspot") == {"OMC_KEY_COINSPOT", "OMC_KEY_COINSPOT__ADA_COINSPOT"}
    assert load_settings(settings.environ()) == settings
