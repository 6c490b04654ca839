"""An account on the local AWS as Terraform would leave it, and the section of the configuration that names its parts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from aws_fake import ACCOUNT, REGION

from omc_infra.services.health import HttpHealth
from omc_infra.services.table import load_services

COMMIT, OLD_COMMIT = "a" * 40, "b" * 40
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/omc"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": REGION,
    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}  # fmt: skip
SECRETS = {
    "database": "postgresql-password-Zq1", "redis": "rediss://:cache-token-Zq2@cache:6379/0",
    "oidc": json.dumps(
        {
            "issuer": "https://login.example.com", "authorization_endpoint": "https://login.example.com/a",
            "token_endpoint": "https://login.example.com/t", "user_info_endpoint": "https://login.example.com/u",
            "client_id": "omc", "client_secret": "client-secret-Zq3",
        }
    ),
}  # fmt: skip
DEPLOYED = [spec for spec in load_services() if spec.command and "live" in spec.profiles and not spec.replaced_by and not spec.on_demand]
WEBSERVER = "dagster-webserver"


@dataclass
class Account:
    """What was made.

    Attributes:
        names: Of everything that the section names.
        image: The new image, by digest; its tag is ``COMMIT``.
        old_image: The one that serves.
    """

    names: dict[str, str]
    image: str
    old_image: str
    client: Any

    def running(self) -> dict[str, str]:
        """Return the task definition of each service, family and revision."""
        found = self.client("ecs").describe_services(cluster="omc", services=[f"omc-{spec.name}" for spec in DEPLOYED])["services"]
        return {each["serviceName"]: each["taskDefinition"].rpartition("/")[2] for each in found}


def make_account(client: Any) -> Account:
    """Make everything through the API of AWS; ``client`` returns a client of boto3 by service."""
    names = _network(client) | _secrets(client)
    old = _push(client, OLD_COMMIT)
    new = _push(client, COMMIT)
    _role(client, "omc-execution")
    client("logs").create_log_group(logGroupName="/omc/services")
    client("dynamodb").create_table(
        TableName="omc-deployments", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("environment", "item")],
        KeySchema=[{"AttributeName": "environment", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
    )  # fmt: skip
    client("rds").create_db_instance(
        DBInstanceIdentifier="omc", DBInstanceClass="db.t4g.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="omc", MasterUserPassword="not-a-secret-1",
    )  # fmt: skip
    client("cloudwatch").put_metric_alarm(
        AlarmName="omc-errors", MetricName="errors", Namespace="omc", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    client("ecs").create_cluster(clusterName="omc")
    client("cloudwatch").set_alarm_state(AlarmName="omc-errors", StateValue="OK", StateReason="test")
    for family in [*(f"omc-{spec.name}" for spec in DEPLOYED), "omc-migrate", "omc-runs"]:
        client("ecs").register_task_definition(**definition(family, old, names))
    for spec in DEPLOYED:
        client("ecs").create_service(**_service(spec, names))
    return Account(names, new, old, client)


def definition(family: str, image: str, names: dict[str, str]) -> dict[str, Any]:
    """Return a task definition."""
    role = f"arn:aws:iam::{ACCOUNT}:role/omc-execution"
    container = {
        "name": family.removeprefix("omc-"), "image": image, "memory": 512, "cpu": 256, "essential": True,
        "portMappings": [{"containerPort": 3000, "protocol": "tcp"}] if family.endswith("webserver") else [],
        "environment": [{"name": "DAGSTER_CURRENT_IMAGE", "value": image}],
        "secrets": [{"name": "OMC_DATABASE_URL", "valueFrom": f"{names['database']}:url::"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/omc/services", "awslogs-stream-prefix": "omc"}},
    }  # fmt: skip
    log_router = {"name": "router", "image": "public.ecr.aws/router:1", "memory": 64, "cpu": 64, "essential": False}
    return {
        "family": family, "containerDefinitions": [container, log_router], "executionRoleArn": role, "taskRoleArn": role,
        "cpu": "512", "memory": "1024", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
    }  # fmt: skip


def section(names: dict[str, str], health_url: str, **others: object) -> str:
    """Return the section of ``omc.toml`` for staging, with short times."""
    options = {
        "region": REGION, "account": ACCOUNT, "cluster": "omc", "state_table": "omc-deployments", "repository": REPOSITORY,
        "service_name": "omc-{service}", "run_families": ["omc-runs"], "migration_family": "omc-migrate", "database_instance": "omc",
        "migration_command": ["omc", "db", "migrate"],
        "alarms": ["omc-errors"], "builder": "none", "accepted_findings": ["CVE-9999-9999"],
        "oidc_listener": names["listener"], "oidc_entry": "omc/oidc", "cache_group": "omc", "cache_entry": "omc/redis",
        "poll_s": 0.02, "bake_s": 0.1, "start_timeout_s": 30.0, "rollout_timeout_s": 60.0, "health_timeout_s": 1.0, "lease_s": 6.0,
        **others,
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    lines.append(f'health_urls = {{"{WEBSERVER}" = "{health_url}"}}')
    lines.append(f'oidc_hosts = {{"{WEBSERVER}" = "omc.example.com"}}')
    return "\n".join(lines) + "\n"


def _push(client: Any, commit: str) -> str:
    """Push an image whose tag is a commit, and return it by digest."""
    ecr = client("ecr")
    if not ecr.describe_repositories()["repositories"]:
        ecr.create_repository(repositoryName="omc")
    digest = f"sha256:{hashlib.sha256(commit.encode()).hexdigest()}"
    manifest = json.dumps(
        {
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": digest},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1, "digest": digest}],
        }
    )  # fmt: skip
    answer = ecr.put_image(repositoryName="omc", imageManifest=manifest, imageTag=commit)
    return f"{REPOSITORY}@{answer['image']['imageId']['imageDigest']}"


def _network(client: Any) -> dict[str, str]:
    ec2, balancer = client("ec2"), client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for n, zone in enumerate("ab")
    ]
    made = balancer.create_load_balancer(Name="omc", Subnets=subnets, Scheme="internal", Type="application")["LoadBalancers"][0]
    group = balancer.create_target_group(
        Name="web", Protocol="HTTP", Port=3000, VpcId=vpc, TargetType="ip", HealthCheckPath="/server_info"
    )["TargetGroups"][0]["TargetGroupArn"]
    certificate = client("acm").request_certificate(DomainName="omc.example.com")["CertificateArn"]
    listener = balancer.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
    )["Listeners"][0]["ListenerArn"]  # fmt: skip
    security = ec2.create_security_group(GroupName="omc", Description="omc", VpcId=vpc)["GroupId"]
    return {"subnets": ",".join(subnets), "security": security, "group": group, "listener": listener}


def _secrets(client: Any) -> dict[str, str]:
    client("elasticache").create_replication_group(ReplicationGroupId="omc", ReplicationGroupDescription="cache", Engine="redis")
    made = client("secretsmanager")
    return {name: made.create_secret(Name=f"omc/{name}", SecretString=value)["ARN"] for name, value in SECRETS.items()}


def _role(client: Any, name: str) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _service(spec: Any, names: dict[str, str]) -> dict[str, Any]:
    balancers = []
    if isinstance(spec.health, HttpHealth) and spec.port is not None:
        balancers = [{"targetGroupArn": names["group"], "containerName": spec.name, "containerPort": 3000}]
    return {
        "cluster": "omc", "serviceName": f"omc-{spec.name}", "taskDefinition": f"omc-{spec.name}", "desiredCount": 1,
        "launchType": "FARGATE",
        "deploymentConfiguration": {
            "maximumPercent": 100 if spec.holds_platform else 200, "minimumHealthyPercent": 0 if spec.holds_platform else 100,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": names["subnets"].split(","), "securityGroups": [names["security"]]}},
        "loadBalancers": balancers,
    }  # fmt: skip
