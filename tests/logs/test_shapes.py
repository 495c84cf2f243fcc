"""Credentials that nobody declared are known by their shape; what only resembles them stays."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import string
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.logs.redaction import MASK, Redactor
from worker_core.logs.shapes import SHAPES

chance = random.Random(20)
LETTERS = string.ascii_letters + string.digits


def some(length: int, alphabet: str = LETTERS) -> str:
    """At random, with a digit among them. None of these ever opened anything."""
    return "".join(chance.choices(alphabet, k=length - 1)) + "7"


def key_of(kind: str, *, lines: int = 5, facts: str = "") -> str:
    body = "\n".join(some(64) for _ in range(lines))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{facts}{body}\n{some(20)}==\n-----END {kind}PRIVATE KEY-----"


TOKENS = {
    "GitHub, personal": ("ghp_", some(36)),
    "GitHub, OAuth": ("gho_", some(36)),
    "GitHub, user to server": ("ghu_", some(36)),
    "GitHub, server to server": ("ghs_", some(36)),
    "GitHub, refresh": ("ghr_", some(76)),
    "GitHub, fine-grained": ("github_pat_", f"{some(22)}_{some(59)}"),
    "GitLab, personal": ("glpat-", some(20)),
    "GitLab, routable": ("glpat-", f"{some(27)}.01.{some(9)}"),
    "GitLab, runner": ("glrt-", some(20)),
    "GitLab, job": ("glcbt-", f"64_{some(20)}"),
    "Slack, bot": ("xoxb-", f"123456789012-1234567890123-{some(24)}"),
    "Slack, user": ("xoxp-", f"123456789012-{some(32, '0123456789abcdef')}"),
    "Slack, rotated": ("xoxe.xoxp-", f"1-{some(60)}"),
    "Slack, app": ("xapp-1-", f"A01234567-{some(40)}"),
    "Slack, webhook": ("https://hooks.slack.com/services/", f"T0123456/B0123456/{some(24)}"),
    "AWS, access key": ("AKIA", some(16, "ABCDEFGHIJ234567")),
    "AWS, temporary": ("ASIA", some(16, "ABCDEFGHIJ234567")),
    "OpenAI": ("sk-", some(48)),
    "OpenAI, project": ("sk-", f"proj-{some(60)}"),
    "Anthropic": ("sk-", f"ant-api03-{some(90)}-{some(4)}AA"),
    "Stripe": ("sk_live_", some(24)),
    "npm": ("npm_", some(36)),
    "PyPI": ("pypi-AgE", f"IcHlwaS5vcmc{some(100)}"),
    "Google": ("AIza", some(35)),
    "Hugging Face": ("hf_", some(34)),
    "SendGrid": ("SG.", f"{some(22)}.{some(43)}"),
    "DigitalOcean": ("dop_v1_", some(64, "0123456789abcdef")),
    "Docker": ("dckr_pat_", some(27)),
    "Vault": ("hvs.", some(90)),
    "Groq": ("gsk_", some(52)),
    "Shopify": ("shpat_", some(32, "0123456789abcdef")),
    "age": ("AGE-SECRET-KEY-", "1" + some(58, "0123456789ABCDEF")),
    "Linear": ("lin_api_", some(40)),
    "Sentry": ("sntrys_", f"eyJ{some(60)}_{some(43)}"),
    "Figma": ("figd_", some(40)),
    "Grafana": ("glsa_", f"{some(32)}_{some(8, '0123456789abcdef')}"),
    "Supabase": ("sbp_", some(40, "0123456789abcdef")),
    "RubyGems": ("rubygems_", some(48, "0123456789abcdef")),
    "PlanetScale": ("pscale_tkn_", some(43)),
    "LangSmith": ("lsv2_pt_", f"{some(32, '0123456789abcdef')}_{some(10, '0123456789abcdef')}"),
    "Replicate": ("r8_", some(37)),
    "Vercel": ("vcp_", some(56)),
    "New Relic": ("NRAK-", some(27, "ABCDEFGHIJ0123456789")),
    "Heroku": ("HRKU-", some(60)),
    "Tailscale": ("tskey-auth-", f"{some(12)}-{some(32)}"),
    "Postman": ("PMAK-", f"{some(24, '0123456789abcdef')}-{some(34, '0123456789abcdef')}"),
    "Pulumi": ("pul-", some(40, "0123456789abcdef")),
    "JSON web token": ("eyJ", f"{some(33)}.eyJ{some(80)}.{some(43)}"),
    "JSON web token, encrypted": ("eyJ", f"{some(33)}.{some(40)}.{some(20)}.{some(80)}.{some(22)}"),
}
PLACES = {
    "user and password": ("git clone https://", f"me:{some(12)}", "@host/x"),
    "password alone": ("redis://", f":{some(12)}", "@host:6379/0"),
    "token alone": ("git push https://", some(20), "@github.com/o/r"),
    "token as the user": ("https://", f"{some(20)}:", "@github.com/o/r"),
    "password with an at": ("amqp://", "me:p@ss7", "@host"),
    "Authorization": ("Authorization: Bearer ", "abc.def.ghi", "\n"),
    "Authorization of curl": ("curl -H 'authorization: basic ", "dXNlcjpwYXNz", "'"),
    "Authorization of Python": ("headers={'Authorization': 'UserKey ", "tok-1234", "'}"),
    "Authorization without a scheme": ("authorization: ", some(20), "\r\n"),
    "Proxy-Authorization": ("Proxy-Authorization: Basic ", "dXNlcjpwYXNz", "\n"),
    "X-Api-Key": ("X-Api-Key: ", some(12), "\n"),
    "X-Api-Key in JSON": ('{"x-api-key":"', some(12), '"}'),
    "X-Api-Key in JSON in JSON": ('"{\\"X-Api-Key\\": \\"', some(12), '\\"}"'),
    "X-Api-Key of Go": ("map[X-Api-Key:[", some(12), "]]"),
    "X-Api-Key of Python's HTTP libraries": ("(b'X-Goog-Api-Key', b'", some(39), "')"),
    "api-key": ("api-key: ", some(32), "\n"),
    "PRIVATE-TOKEN": ("PRIVATE-TOKEN: ", some(20), "\n"),
    "X-Vault-Token": ("X-Vault-Token: ", some(26), "\n"),
    "X-Amz-Security-Token": ("x-amz-security-token:", some(300), "\n"),
    "Ocp-Apim-Subscription-Key": ("Ocp-Apim-Subscription-Key: ", some(32), "\n"),
    "Cookie": ("Cookie: session=", some(24), "; theme=dark"),
    "Set-Cookie": ("< set-cookie: sid=", some(24), "; Path=/"),
    "bearer in prose": ("it sent bearer ", some(24), " twice"),
    "AWS configuration": ("aws_secret_access_key = ", some(40), "\n"),
    "AWS answer": ('"SecretAccessKey": "', some(40), '",'),
    "query": ("GET /x?access_token=", some(24), "&page=2"),
    "npm's file": ("//registry.npmjs.org/:_authToken=", some(36), "\n"),
    "Docker's file": ('{"auths": {"r": {"auth": "', some(40), '"}}}'),
    "Docker's file in JSON": ('"{\\"auth\\":\\"', some(40), '\\"}"'),
    "Azure, storage": ("AccountName=x;AccountKey=", f"{some(86)}==", ";EndpointSuffix=core.windows.net"),
    "Azure, bus": ("SharedAccessKeyName=x;SharedAccessKey=", f"{some(43)}=", "\n"),
    "Telegram": ("https://api.telegram.org/bot123456789:", some(35), "/getMe"),
    "Discord": ("https://discord.com/api/webhooks/123456789012345678/", some(68), "\n"),
    "Microsoft Teams": ("https://x.webhook.office.com/webhookb2/a/IncomingWebhook/", f"{some(32)}/{some(36)}", "\n"),
    "signed URL": ("https://b.s3/x?X-Amz-Signature=", some(64, "0123456789abcdef"), "&x=1"),
}


@pytest.mark.parametrize("what", TOKENS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""), ("token ", " is here"), ("TOKEN=", "\n"), ('{"a": "', '"}'), ('"a\\n', '\\n"'), ("x=%22", "%22"),
        ("\x1b[32m", "\x1b[0m"), ("(", ")."), ("- ", "\r\n"), ("https://", "@host"), ("日本", "。"),
    ],
)  # fmt: skip
def test_a_token_is_masked_and_its_kind_stays(what: str, before: str, after: str) -> None:
    prefix, secret = TOKENS[what]
    said = Redactor().mask(before + prefix + secret + after)
    assert secret not in said
    assert secret[-8:] not in said
    if before != "https://":
        assert said.startswith(f"{before}{prefix}{MASK}")


def test_what_a_picture_holds_by_chance_stays() -> None:
    """Of a billion random characters of base64 each group of four stands in some sixty places."""
    text = f"4sTFYRnxvxDxPgsmAIza{some(43)}\ne"
    assert Redactor().mask(text) == text


@pytest.mark.parametrize("what", PLACES)
def test_a_credential_is_masked_by_its_place(what: str) -> None:
    before, secret, after = PLACES[what]
    assert Redactor().mask(before + secret + after) == before + MASK + after


KEYS = {
    "PKCS 8": key_of(""),
    "RSA": key_of("RSA "),
    "EC": key_of("EC ", lines=2),
    "OpenSSH": key_of("OPENSSH ", lines=38),
    "encrypted": key_of("RSA ", facts="Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n"),
    "PGP": f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{some(64)}\n{some(64)}\n=abcd\n"
    "-----END PGP PRIVATE KEY BLOCK-----",
    "without its end": key_of("").partition("==")[0].rpartition("\n")[0],
    "in one line": key_of("").replace("\n", " "),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize(
    "written",
    [
        lambda key: key,
        lambda key: key.replace("\n", "\r\n"),
        lambda key: json.dumps({"key": key}),
        lambda key: json.dumps(json.dumps({"key": key})),
        lambda key: key.replace("\n", "\n    "),
        lambda key: key.replace("\n", "\n# "),
        lambda key: key.replace("\n", "\n+"),
        lambda key: key.replace("\n", "\n-"),
    ],
    ids=["as it is", "CR LF", "JSON", "JSON in JSON", "indented", "comment", "added", "removed"],
)
def test_a_private_key_is_masked(kind: str, written) -> None:  # type: ignore[no-untyped-def]
    said = Redactor().mask(f"the key:\n{written(KEYS[kind])}\nand more")
    assert not any(line in said for line in KEYS[kind].split() if len(line) >= 16 and line.isalnum())
    assert f"PRIVATE KEY{' BLOCK' if kind == 'PGP' else ''}-----" in said
    assert said.endswith("\nand more")
    if written(key_of("")).startswith('"'):
        json.loads(said.splitlines()[1])


@given(st.sampled_from([*TOKENS.values(), *PLACES.values(), *((key,) for key in KEYS.values())]), st.data())
@settings(max_examples=300, deadline=None)
def test_no_border_between_two_pieces_lets_one_out(parts: tuple[str, ...], data: st.DataObject) -> None:
    redactor = Redactor()
    whole = f"The answer: {''.join(parts)} and so on.\n"
    size = data.draw(st.integers(1, 60))
    stream = redactor.stream()
    first = data.draw(st.integers(0, len(whole)))
    pieces = [whole[:first], *(whole[at : at + size] for at in range(first, len(whole), size))]
    said = "".join(map(stream.feed, pieces)) + stream.flush()
    assert said == redactor.mask(whole)
    assert MASK in said


@pytest.mark.parametrize("what", [*TOKENS, *PLACES])
def test_every_border_between_two_pieces(what: str) -> None:
    whole = f"see {''.join({**TOKENS, **PLACES}[what])} and"
    redactor = Redactor()
    masked = redactor.mask(whole)
    for cut in range(len(whole)):
        stream = redactor.stream()
        assert stream.feed(whole[:cut]) + stream.feed(whole[cut:]) + stream.flush() == masked


def test_an_answer_is_not_held_up_by_what_may_become_a_credential_no_more() -> None:
    stream = Redactor().stream()
    assert stream.feed("see https://docs.python") == "see https://"
    assert stream.feed(".org/3/") == "docs.python.org/3/"
    assert stream.feed("-----BEGIN PRIVATE KEY----- is how it begins") == "-----BEGIN PRIVATE KEY----- is how it begins"
    assert stream.feed(" eyJhbGciOi") == " eyJ"
    assert stream.feed("ok, ") == "hbGciOi"[1:1] + "hbGciOiok, "


ORDINARY = [
    hashlib.sha1(b"x", usedforsecurity=False).hexdigest(),
    f"commit {hashlib.sha256(b'y').hexdigest()}",
    f"image@sha256:{hashlib.sha256(b'z').hexdigest()}",
    "docker://alpine:3.18@sha256:" + hashlib.sha256(b"z").hexdigest(),
    str(uuid.UUID(int=0x0123456789ABCDEF0123456789ABCDEF)),
    "data:image/png;base64," + base64.b64encode(random.Random(1).randbytes(60_000)).decode(),
    base64.urlsafe_b64encode(random.Random(2).randbytes(60_000)).decode(),
    "ssh://git@github.com/o/r.git",
    "git@github.com:o/r.git",
    "https://user@example.com/path",
    "http://localhost:3000/users/a@b.example?x=1",
    "http://[::1]:8080/a@b",
    "https://$USER:$TOKEN@host/ https://${USER}:${TOKEN}@host/ https://{user}:{password}@host/ https://%s:%s@host/"
    " https://<user>:<password>@host/ https://user:password@host/ https://$(whoami)@host/",
    "Authorization: Bearer $TOKEN",
    'headers["Authorization"] = f"Bearer {token}"',
    "Authorization: Bearer <token>",
    'headers = {"x-api-key": settings.api_key, "X-Api-Key": os.environ["KEY"]}',
    "Bearer authentication is described in RFC 6750; bearer tokens are passed on.",
    "a token, a secret, a password and an api-key: all of them are required",
    "class sk-fading-circle-loading-spinner { } task-management-system-overview risk-assessment-for-2024-quarter-one",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY-----\n\nThis is what the first line of one looks like.",
    "eyJ is how the base64 of a JSON object begins, e.g. eyJhIjoxfQ== of {'a':1}.",
    "npm_config_registry npm_lifecycle_event ghp_ gho_x xoxo sk-1 AKIA AKIAS github_pat_ hf_hub_download",
    "?page=2&token=&sig=1&password=",
    "Cookie: a small cake. cookie=none; Set-Cookie: theme=dark",
    "aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ORDINARY)))
def test_what_only_resembles_a_credential_stays(number: int) -> None:
    assert Redactor().mask(ORDINARY[number]) == ORDINARY[number]
    stream = Redactor().stream()
    pieces = [ORDINARY[number][at : at + 7] for at in range(0, min(2_000, len(ORDINARY[number])), 7)]
    assert "".join(map(stream.feed, pieces)) + stream.flush() == "".join(pieces)


def test_the_program_s_own_sources_hold_none() -> None:
    """Some 100 files of code: what an agent reads all day comes through as it is."""
    root = Path(__file__).parents[2]
    redactor = Redactor()
    found = {
        str(file.relative_to(root))
        for folder in ("worker_core", "desktop", "installers")
        for file in (root / folder).rglob("*.py")
        if redactor.mask(text := file.read_text(encoding="utf-8")) != text
    }
    assert found == set()


def test_json_stays_json() -> None:
    redactor = Redactor()
    values = [*("".join(parts) for parts in (*TOKENS.values(), *PLACES.values())), *KEYS.values()]
    for first in values:
        for second in values:
            text = json.dumps({"a": first, "b": [second, "://"], "c": "x@y"}, separators=(",", ":"))
            assert set(json.loads(redactor.mask(text))) == {"a", "b", "c"}


def test_what_is_masked_once_stays_as_it_is() -> None:
    redactor = Redactor()
    for parts in (*TOKENS.values(), *PLACES.values(), *((key,) for key in KEYS.values())):
        once = redactor.mask("".join(parts))
        assert redactor.mask(once) == once


RUNS = sorted(
    {word for shape in SHAPES for word in shape.words}
    | {prefix for prefix, _ in TOKENS.values()}
    | {before for before, _, _ in PLACES.values()}
    | {
        "a", "A", "7", "-", "_", ".", "=", "/", ":", "@", " ", "\n", "\\n", "\\", '"', "%41", "\x1b[0m", "://a:", "://a:b",
        "?token=", "eyJa", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n", "a: b\n",
        "-----BEGIN PRIVATE KEY-----\naaaaaaaaaaaaaaaa\n", "aaaaaaaaaaaaaaaa\n", "-----END", "Cookie: a=", "bearer a",
    }
)  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
def test_every_shape_is_linear(run: str) -> None:
    """Runs of what shapes begin with, alone and behind each beginning that lets much follow."""
    redactor = Redactor()

    def piece_by_piece(text: str) -> None:
        stream = redactor.stream()
        for at in range(0, len(text), 500):
            stream.feed(text[at : at + 500])

    for before in ("", "-----BEGIN PRIVATE KEY-----\n", "eyJ", "Authorization: Bearer ", "://"):
        for act in (redactor.mask, piece_by_piece):

            def make(length: int, before: str = before) -> str:
                return before + run * (length // len(run))

            began = time.thread_time()
            act(make(40_000))
            if time.thread_time() - began > 0.3:  # squared, it would be seconds
                assert twice_the_length_costs(act, make, length=40_000) < LINEAR, (before, act)


@pytest.mark.skipif(os.name == "nt", reason="OpenSSH's ssh-keygen is looked for on a Unix path")
def test_a_real_key_is_masked(tmp_path: Path) -> None:
    file = tmp_path / "key"
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    except FileNotFoundError:
        pytest.skip("there is no ssh-keygen on this machine")
    text = file.read_text()
    said = Redactor().mask(text)
    assert not any(line in said for line in text.splitlines()[1:-1])
