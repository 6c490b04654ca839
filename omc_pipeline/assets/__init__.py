"""The registry of assets: which coin or money a name means, at which venue and when. One data file, ``assets.toml``, and users' additions.

Not here: amounts. A rename changes no holding; a migration does, by fills of kind ``migrate``.
"""
