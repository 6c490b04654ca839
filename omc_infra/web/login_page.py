"""The page that whoever isn't logged in gets."""

from __future__ import annotations

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>OMC: log in</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem; color: #1f2328; background: #fff }}
input {{ font: inherit; width: 100%; box-sizing: border-box; padding: .4rem .6rem; border: 1px solid #8c959f; border-radius: 6px }}
button {{ font: inherit; margin-top: .8rem; padding: .4rem 1.2rem; border: 0; border-radius: 6px; background: #1f6feb; color: #fff }}
code {{ background: #f6f8fa; padding: .1rem .3rem; border-radius: 4px }}
.wrong {{ color: #b42318 }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #e6edf3; background: #0d1117 }} code, input {{ background: #161b22; color: #e6edf3 }}
}}
</style></head><body>
<h1>Log in to the Dagster UI</h1>
{wrong}<p>Open the link that <code>omc up</code> printed; it holds the token. <code>omc status</code> prints it again.</p>
<form method="get" action="/"><label for="token">Or paste the token:</label>
<input id="token" name="token" type="password" autocomplete="off" autofocus required><button>Log in</button></form>
</body></html>
"""
_WRONG = '<p class="wrong" role="alert">This token is not the right one.</p>\n'


def login_page(*, was_wrong: bool) -> str:
    """Return the page; ``was_wrong`` says that a wrong token was offered. Nothing of the request is shown."""
    return _PAGE.format(wrong=_WRONG if was_wrong else "")
