"""Deploy an image to an environment on AWS ECS, watch it, and roll it back: ``omc deploy`` and ``omc rollback``.

The order and the names of the services come from the platform's table of services. What an environment consists of stands in its section
of ``omc.toml``, ``[deploy.staging]`` or ``[deploy.production]``. boto3 is an optional extra and imported by ``aws`` only.

Not here: the infrastructure itself, which exists before a deployment; supervision of services on one machine (``omc_infra.services``).
"""
