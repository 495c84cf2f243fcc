"""Which variables are secrets."""

from __future__ import annotations

import base64
import random
import string

import pytest

from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.logs.declared import is_secret, names_a_secret, secrets_in

BY_NAME = [
    "DATABASE_URL", "DB_PASS", "DB_PASSWORD", "GITHUB_PAT", "DSN", "SENTRY_DSN", "SIGNING_KEY", "JWT", "JWT_SECRET",
    "STRIPE_API_KEY", "apikey", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SSH_PRIVATE_KEY", "SSH_KEY", "REDIS_URL",
    "MONGODB_URI", "CELERY_BROKER_URL", "PGPASSWORD", "PGPASS", "MYSQL_PWD", "NPM_TOKEN", "TOKEN",
    "npm_config__authToken", "dbPassword", "db-password", "X-Api-Key", "Authorization", "CLIENT_SECRET",
    "ENCRYPTION_KEY", "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_CONNECTION_STRING", "SLACK_WEBHOOK_URL", "BASIC_AUTH", "SAS_TOKEN", "PASSPHRASE", "TLS_KEY",
    "cookie",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON", "SESSION_KEY", "VAULT_SECRET_ID", "DB_PASS_2", "LICENSE_KEY",
]  # fmt: skip
NOT_BY_NAME = [
    "PATH", "HOME", "PWD", "OLDPWD", "KEYBOARD", "MAX_TOKENS", "TOKENS_PER_MINUTE", "SECRET_NAME", "PASSWORD_FILE",
    "TOKEN_EXPIRY", "SSH_AUTH_SOCK", "BYPASS", "COMPASS", "AUTHOR", "MONKEY", "PARTITION_KEY", "SORT_KEY", "PATTERN",
    "LANG", "REGION", "API_URL", "SALTSTACK", "PATCH", "DSNAME",
]  # fmt: skip


@pytest.mark.parametrize("name", BY_NAME)
def test_a_name_that_says_secret(name: str) -> None:
    assert names_a_secret(name)
    assert secrets_in({name: "hunter two"}) == {"hunter two"}


@pytest.mark.parametrize("name", NOT_BY_NAME)
def test_a_name_that_does_not(name: str) -> None:
    assert not names_a_secret(name)
    assert secrets_in({name: "hunter two"}) == set()


chance = random.Random(7)
LETTERS = string.ascii_letters + string.digits


def some(length: int, alphabet: str = LETTERS) -> str:
    return "".join(chance.choices(alphabet, k=length))


def test_a_value_that_is_long_and_no_words_is_a_secret_under_any_name() -> None:
    missed = [
        value
        for _ in range(300)
        for value in (
            some(24), some(40), some(32, "0123456789abcdef"), some(64, "0123456789ABCDEF"),
            base64.b64encode(chance.randbytes(32)).decode(), some(20, string.ascii_uppercase + "234567") + some(20),
            f"{some(8)}-{some(8)}-{some(8)}",
        )
        if secrets_in({"stripe": value}) != {value}
    ]  # fmt: skip
    assert len(missed) < 0.03 * 300 * 7, missed


@pytest.mark.parametrize(
    "value",
    [
        "production", "us-east-1", "my-bucket-name-for-2024-backups", "https://api.example.com/v1/some/longer/path",
        "/usr/local/lib/python3.11/site-packages:/nix/store/0c9v3kdl2m8x7q1w5z-bash", "correct-horse-battery-staple",
        "MyVeryLongCamelCaseClassName", "registry.example.com:5000/team/app:v1.2.3", "2024-01-15T10:30:00.000Z",
        "arn:aws:iam::123456789012:role/MyDeploymentRole", "1234567890123456789012345", "a sentence of many words.",
        "image@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "x86_64-unknown-linux-gnu",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "kubernetes.default.svc.cluster.local", "C:\\Users\\me",
        "en_US.UTF-8", "internationalization", "--max-old-space-size=4096 --experimental-vm-modules", "{}", "",
        '{"region": "eu-central-1", "bucket": "my-bucket", "retries": 3}', "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
    ],
)  # fmt: skip
def test_an_ordinary_value_is_none(value: str) -> None:
    assert secrets_in({"SETTING": value}) == set()


def test_identities_are_none_under_their_names() -> None:
    sha, uuid = "da39a3ee5e6b4b0d3255bfef95601890afd80709", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    assert secrets_in({"GIT_COMMIT": sha, "PROJECT_ID": uuid, "imageDigest": sha}) == set()
    assert secrets_in({"HEROKU_API_KEY": uuid, "heroku": uuid}) == {uuid}


def test_credentials_in_an_address() -> None:
    assert secrets_in({"X": "https://me:p%40ssw0rd@host/x and redis://:hunter-two@h"}) == {
        "p%40ssw0rd", "p@ssw0rd", "hunter-two",
    }  # fmt: skip
    assert secrets_in({"SENTRY_DSN": "https://publickey@sentry.io/1"}) == {"https://publickey@sentry.io/1", "publickey"}
    whole = "postgres://app:hunter-two@db/x"
    assert secrets_in({"DATABASE_URL": whole}) == {whole, "hunter-two"}
    assert not is_secret("DATABASE_URL", "postgres://localhost/x")
    hook = some(24)
    assert secrets_in({"SLACK_WEBHOOK_URL": f"https://hooks.slack.com/services/T01/B01/{hook}"}) == {hook}


def test_a_secret_in_a_larger_value() -> None:
    token = "tok" + some(30)
    assert secrets_in({"CONFIG": f'{{"region": "eu", "token": "{token}"}}'}) == {token}
    assert secrets_in({"OPTIONS": f"--url=https://example.com --key={token} --verbose"}) == {token}


def test_switches_are_none() -> None:
    assert secrets_in({"REQUIRE_TOKEN": "required", "API_TOKEN": "true", "PASSWORD": "12345"}) == set()


@pytest.mark.parametrize("run", ["a", "aB1", "://", "=", "a=", "sha1:", "://a", "@", "a:b@", "-", "Aa", "~/", "\\"])
def test_looking_at_a_value_is_linear(run: str) -> None:
    assert twice_the_length_costs(
        lambda text: secrets_in({"X": text}), lambda n: run * (n // len(run)), longest=60_000
    ) < (LINEAR)
    assert twice_the_length_costs(names_a_secret, lambda n: run * (n // len(run)), longest=60_000) < LINEAR
