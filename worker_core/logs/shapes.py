"""What credentials look like that nobody declared: tokens by their prefixes, private keys, and others by their place.

Only the part that opens something is hidden: of `ghp_…` the reader still sees that it was a token of GitHub.

A text is searched for single characters and for words, which is fast; expressions are tried where these stand. What
repeats in them is bounded: their time grows with the length of a text and no faster. No hidden part holds a quote, and
none begins or ends within an escape, so JSON stays JSON; none holds a character by which a shell computes something, so
a template such as `https://$USER:$TOKEN@host` is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from worker_core.basics.quick_dataclass import dataclass

_VALUE_LENGTH: Final = 512
_TOKEN_LENGTH: Final = 2048
_KEY_LENGTH: Final = 8192


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Credentials of one kind, or of a few that are found in the same way.

    In both expressions, the group that takes part is what is to be hidden. They are compiled when they are needed: all
    of them take 20 ms, and a worker that starts needs few.
    """

    words: tuple[str, ...] = ()
    """In small letters; a match begins with one of them. None: the expression begins with a character that is found as
    fast as a word."""

    is_one: str
    may_become_one: str
    """To be continued by the end of a text."""

    longest: int = _TOKEN_LENGTH
    """Characters that `begun` may hide."""

    @cached_property
    def whole(self) -> re.Pattern[str]:
        return re.compile(self.is_one)

    @cached_property
    def begun(self) -> re.Pattern[str]:
        """Reaches to the end of a text, and may become a match if the text goes on."""
        return re.compile(rf"{self.may_become_one}\Z")


class View:
    """What there is to hide in a part of a text that may go on."""

    def __init__(self, text: str, *, goes_before: bool) -> None:
        """`goes_before`: there was more in front of it, so what its first characters begin is not known."""
        self._small = _small(text)
        sought, start = _sought_in(self._small), _SEEN_BEFORE if goes_before else 0
        self.hidden = _hidden_in(text, self._small, sought, start)
        self.begun_at = _begun_at(text, self._small, sought, start)
        """Where the first part begins that is to be hidden if the text goes on as it may; else the text's length."""

    def needed_for(self, place: int) -> int:
        """Where that begins which says what is hidden from `place` on."""
        word = _ANY_WORD.search(self._small, max(0, place - _LONGEST_HEAD), place + _LONGEST_WORD)
        return max(0, min(word.start() if word else place, place - _LONGEST_WORD) - _SEEN_BEFORE)


def hidden_in(text: str) -> list[tuple[int, int]]:
    """Start and end of every part that is to be hidden."""
    if len(text) < _SHORTEST and "://" not in text:
        return []
    small = _small(text)
    return _hidden_in(text, small, _sought_in(small))


def _sought_in(small: str) -> list[tuple[str, Shape]]:
    return [sought for sought in _SOUGHT if sought[0] in small]


def _hidden_in(text: str, small: str, sought: list[tuple[str, Shape]], start: int = 0) -> list[tuple[int, int]]:
    found = []
    if len(text) > _SHORT or _MAY_HIDE.search(text):
        for shape in _FAMILIES:
            found += [match.span(match.lastindex or 0) for match in shape.whole.finditer(text, start)]
    for word, shape in sought:
        at = small.find(word, start)
        while at >= 0:
            after = at + 1
            if match := shape.whole.match(text, at):
                found.append(match.span(1))
                after = max(after, match.end())
            at = small.find(word, after)
    return found


def _begun_at(text: str, small: str, sought: list[tuple[str, Shape]], start: int) -> int:
    first = len(text)
    if _MAY_BEGIN.search(text.rsplit(None, 1)[-1] if text.strip() else text):
        for shape in _FAMILIES:
            looked_at = max(start, len(text) - shape.longest - _LONGEST_WORD)
            if match := shape.begun.search(text, looked_at):
                first = min(first, match.start(match.lastindex or 0))
    for word, shape in sought:
        at = small.find(word, max(start, len(text) - shape.longest - _LONGEST_HEAD))
        while at >= 0:
            if match := shape.begun.match(text, at):
                first = min(first, match.start(1))
                break
            at = small.find(word, at + 1)
    return first


def _small(text: str) -> str:
    """In small letters, each character where it was (`İ` has two small ones). No word has a letter beyond ASCII."""
    if text.isascii():
        return text.lower()
    return text.encode("latin-1", "replace").lower().decode("latin-1")


# --- tokens --------------------------------------------------------------------------------------------------

_LETTERS: Final = "[A-Za-z0-9]"
_WORD: Final = "[A-Za-z0-9_-]"
_GITLAB: Final = ("pat", "rt", "dt", "cbt", "ptt", "ft", "soat", "imt", "agent", "oas", "ffct")
_WITH_DIGIT: Final = r"(?=[A-Za-z_-]{0,80}\d)"
"""Tells tokens from names of many words: `sk-fading-circle`."""


def _alone(head: str) -> str:
    """Directly behind `head`, where no word ends in it: there is a border, an escape of JSON or of a URL, or a colour.

    A lookbehind has one length, so there is one for each.
    """
    before = (
        r"\\[nrt]",
        "%[0-9A-Fa-f]{2}",
        r"\x1b\[m",
        r"\x1b\[\dm",
        r"\x1b\[\d\dm",
        r"\x1b\[\d;\d\dm",
        r"\x1b\[\d;\dm",
    )
    escaped = "|".join(f"(?<={one}{head})" for one in before)
    return f"(?:(?<={head})(?<![A-Za-z0-9_-]{head})|{escaped})"


def _behind(*heads: str) -> str:
    return "(?:" + "|".join(f"(?<={head})" for head in heads) + ")"


def _family(end: str, kinds: list[tuple[str, str, int]], *, most: int = _VALUE_LENGTH, least: str = "") -> Shape:
    """Tokens whose prefixes end alike.

    Args:
        end: of the prefixes; what is searched for.
        kinds: where a token begins, what it is made of, and its least length.
        most: their greatest length.
        least: looks ahead at what all of them begin with, which rules most places out.
    """
    whole = "|".join(f"{where}({body}{{{length},{most}}})" for where, body, length in kinds)
    begun = "|".join(f"{where.replace(_WITH_DIGIT, '')}({body}{{0,{most}}}+)" for where, body, _ in kinds)
    return Shape(is_one=f"{end}{least}(?:{whole})", may_become_one=f"{end}(?:{begun})", longest=most)


# The prefixes are those that the providers document, GitHub in https://github.blog/2021-04-05-behind-githubs-new-
# authentication-token-formats, AWS in the IAM user guide under "unique identifiers". JSON web tokens: RFC 7519.
_TOKENS: Final = (
    _family(
        "_",
        [
            (_behind("gh[pousr]_"), _LETTERS, 30),
            (_behind("github_pat_"), r"\w", 22),
            (_behind("[sr]k_live_", "[sr]k_test_", "whsec_"), _LETTERS, 16),
            (_behind("npm_"), _LETTERS, 36),
            (_behind("gsk_"), _LETTERS, 30),  # Groq
            (_alone("hf_"), _LETTERS, 30),  # Hugging Face
            (_behind("do[opr]_v1_"), "[0-9a-f]", 40),  # DigitalOcean
            (_behind("dckr_[po]at_"), _WORD, 20),
            (_behind("shpat_", "shpca_", "shppa_", "shpss_"), "[0-9A-Fa-f]", 32),  # Shopify
            (_behind("lin_api_", "sntryu_"), _LETTERS, 40),  # Linear, Sentry
            (_behind("sntrys_"), r"[A-Za-z0-9+/=_]", 40),
            (_behind("figd_"), _WORD, 40),  # Figma
            (_behind("glsa_"), r"\w", 40),  # Grafana
            (_behind("sbp_"), "[0-9a-f]", 40),  # Supabase
            (_behind("rubygems_"), "[0-9a-f]", 48),
            (_behind("pscale_tkn_", "pscale_pw_"), _WORD, 32),  # PlanetScale
            (_behind("lsv2_pt_", "lsv2_sk_"), "[0-9a-f_]", 40),  # LangSmith
            (_alone("r8_"), _LETTERS, 37),  # Replicate
            (_alone("vcp_"), _LETTERS, 40),  # Vercel
        ],
        least="(?=[A-Za-z0-9_-]{16})",
    ),
    _family(
        "-",
        [
            (_alone("sk-") + _WITH_DIGIT, _WORD, 20),  # OpenAI, Anthropic, OpenRouter
            (_behind(*(f"gl{kind}-" for kind in _GITLAB)), "[A-Za-z0-9_.-]", 16),
            (_behind("xox[a-z]-"), "[A-Za-z0-9-]", 10),  # Slack
            (_behind(r"xapp-\d-"), "[A-Za-z0-9-]", 20),
            (_behind("pypi-") + "AgE", _WORD, 40),
            (_behind("GOCSPX-"), _WORD, 20),  # Google
            (_behind("xai-", "pplx-"), _LETTERS, 30),
            (_behind("AGE-SECRET-KEY-"), "[0-9A-Z]", 40),
            (_behind("NRAK-"), "[0-9A-Z]", 27),  # New Relic
            (_behind("HRKU-"), _WORD, 36),  # Heroku
            (_behind("tskey-auth-", "tskey-api-", "tskey-client-"), "[A-Za-z0-9-]", 20),  # Tailscale
            (_behind("PMAK-"), "[0-9a-f-]", 59),  # Postman
            (_alone("pul-"), "[0-9a-f]", 40),  # Pulumi
        ],
        least="(?=[A-Za-z0-9_.-]{10})",
    ),
    _family(
        r"\.",
        [
            (_behind(r"SG\."), "[A-Za-z0-9_.-]", 50),  # SendGrid
            (_behind(r"ya29\."), _WORD, 20),  # Google
            (_alone(r"hv[sbr]\."), _WORD, 24),  # Vault
        ],
        most=_TOKEN_LENGTH,
        least="(?=[A-Za-z0-9_-]{20})",
    ),
    _family("AIza", [(_alone("AIza"), _WORD, 35)]),  # Google
    _family(r"hooks\.slack\.com/", [("(?:services|workflows)/", "[A-Za-z0-9/]", 20)]),
    Shape(
        is_one=f"A[KS]IA{_alone('A[KS]IA')}([A-Z2-7]{{16}})(?![A-Za-z0-9])",
        may_become_one=f"A[KS]IA{_alone('A[KS]IA')}([A-Z2-7]{{0,16}})",
    ),
    Shape(
        is_one=f"eyJ{_alone('eyJ')}"
        rf"({_WORD}{{8,4096}}\.{_WORD}{{8,8192}}\.{_WORD}{{8,2048}}(?:\.{_WORD}{{0,2048}}){{0,2}})",
        may_become_one=f"eyJ{_alone('eyJ')}([A-Za-z0-9_.-]{{0,{_KEY_LENGTH}}}+)",
        longest=_KEY_LENGTH,
    ),
)

# --- private keys (RFC 7468, and what OpenSSL and PGP write) -------------------------------------------------

# Between two lines: a line break, as it is or escaped, the mark of a comment, the signs of a difference.
_BREAK: Final = r"(?>(?:\s|\\{1,4}[nrt]|[#+]|-(?!----)){1,80})"
_FACTS: Final = rf'(?>(?:[A-Za-z][A-Za-z-]{{1,24}}: [^\r\n"\\]{{0,80}}+{_BREAK}){{0,4}})'
_LINE: Final = "[A-Za-z0-9+/=]{16,4096}+"
# Where the end is missing, as `head` shows a key, only lines count that are no prose.
_LINE_OR_LAST: Final = rf"(?:{_LINE}|[A-Za-z0-9+/=]{{1,4096}}+(?=(?:{_BREAK})?-{{5,6}}END))"
_KEY_HEAD: Final = f"-----BEGIN [A-Z0-9 ]{{0,32}}PRIVATE KEY(?: BLOCK)?-----(?:{_BREAK}{_FACTS})?"
_PRIVATE_KEY: Final = Shape(
    words=("-----begin ",),
    is_one=f"{_KEY_HEAD}({_LINE_OR_LAST}(?>(?:{_BREAK}{_LINE_OR_LAST}){{0,256}}))",
    may_become_one=rf"{_KEY_HEAD}((?>(?:{_LINE}{_BREAK}){{0,256}})[A-Za-z0-9+/=]{{0,4096}}+"
    r"(?>(?:\\{1,4}[nrt]?|[\s#+]|-(?!----)){0,80})-{0,6}E?N?)",
    longest=_KEY_LENGTH,
)

# --- by their place ------------------------------------------------------------------------------------------

# As it stands in a request, in JSON (escaped or not), in YAML, in a command line, and as Go and Python print it.
_IS: Final = r"(?:\\{0,3}[\"'])?(?:\s{0,4}[:,]\s{0,4}|=)(?:b|\[)?(?:\\{0,3}[\"'])?"
_NO_PREFIX: Final = "(?<![A-Za-z0-9_:.])"
_PLAIN: Final = "[A-Za-z0-9._~+/=:%!-]"
_PLAIN_WITH_DIGIT: Final = rf"(?={_PLAIN}{{0,80}}\d)"
_OPAQUE: Final = r"""[^\s"',;\\<>(){}\[\]$`|*]"""
_SCHEMES: Final = "bearer|basic|token|userkey|apikey|api-key|digest|negotiate|bot"
_TOKEN_HEADERS: Final = _behind(
    "private", "job", "deploy", "auth", "access", "session", "security", "vault", "consul", "github", "gitlab", "figma",
    "metadata", "subject", "service", "user", "bot",
)  # fmt: skip
_KEY_HEADERS: Final = _behind(
    "access", "auth", "subscription", "application", "functions", "master", "account", "secret", "service"
)  # fmt: skip
_SECRET_HEADERS: Final = _behind("client", "api", "app", "auth", "shared", "webhook")
_QUERY: Final = (
    "token", "access_token", "refresh_token", "id_token", "auth_token", "private_token", "api_key", "apikey", "sig",
    "signature", "client_secret", "password", "x-amz-signature", "x-goog-signature", "x-amz-credential",
    "x-goog-credential", "x-amz-security-token",
)  # fmt: skip
_USER_INFO: Final = r"""[^\s/?#"'<>`|\\(){}\[\]$*]"""
_ONE_WORD: Final = r"""[^\s:@/?#"'<>`|\\(){}\[\]$*]"""
_EXAMPLE: Final = r"[^\s:@/]{0,64}:(?:pass(?:word|wd)?|pw|pwd|secret|token|x{3,}|\.{3}|%s)@"


def _value(words: str, head: str, body: str, least: int, *, if_: str = "") -> Shape:
    """The head's case is of no matter; `if_` looks ahead at the value."""
    return Shape(
        words=tuple(words.split()),
        is_one=f"(?i:{head}){if_}({body}{{{least},{_TOKEN_LENGTH}}})",
        may_become_one=f"(?i:{head})({body}{{0,{_TOKEN_LENGTH}}}+)",
    )


_PLACES: Final = (
    # Of npm's and Docker's files, Azure's connection strings, and Telegram's, Discord's and Microsoft Teams' addresses.
    _value("_authtoken", r"_authtoken\s{0,4}=\s{0,4}\"?", _PLAIN, 16, if_=_PLAIN_WITH_DIGIT),
    _value('"auth', r'"auth\\{0,3}"\s{0,4}:\s{0,4}\\{0,3}"', "[A-Za-z0-9+/=]", 20, if_=r"(?=[A-Za-z+/=]{0,80}\d)"),
    _value("accountkey sharedaccesskey", r"(?:account|sharedaccess)key=", "[A-Za-z0-9+/=]", 40),
    _value("/bot", r"/bot\d{6,12}:", _WORD, 30),
    _value("/webhooks/", r"/webhooks/\d{15,20}/", _WORD, 40),
    _value("/incomingwebhook/", r"/incomingwebhook/", "[A-Za-z0-9/_-]", 32),
    _value("authorization", f"authorization{_IS}(?:{_SCHEMES})\\s{{1,4}}", _OPAQUE, 4),
    _value("authorization", f"{_NO_PREFIX}authorization{_IS}", _PLAIN, 8, if_=_PLAIN_WITH_DIGIT),
    _value(
        "bearer",
        r"(?<![A-Za-z0-9_])bearer\s{1,4}",
        "[A-Za-z0-9._~+/=-]",
        12,
        if_=r"(?=[A-Za-z._~+/=-]{0,80}\d|[A-Za-z._~+/=-]{32})",
    ),
    _value("api-key apikey", f"{_NO_PREFIX}api-?key{_IS}", _PLAIN, 8, if_=_PLAIN_WITH_DIGIT),
    _value("-token", f"{_TOKEN_HEADERS}-token{_IS}", _PLAIN, 8, if_=_PLAIN_WITH_DIGIT),
    _value("-key", f"{_KEY_HEADERS}-key{_IS}", _PLAIN, 8, if_=_PLAIN_WITH_DIGIT),
    _value("-secret", f"{_SECRET_HEADERS}-secret{_IS}", _PLAIN, 8, if_=_PLAIN_WITH_DIGIT),
    _value("cookie", rf"cookie{_IS}[\w.%-]{{1,80}}=", _OPAQUE, 12, if_=rf"(?={_OPAQUE}{{0,200}}\d)"),
    _value(
        "secret_access_key secretaccesskey session_token sessiontoken",
        r"(?:secret_?access_?key|session_?token)(?:\\{0,3}[\"'])?\s{0,4}[:=]\s{0,4}(?:\\{0,3}[\"'])?",
        "[A-Za-z0-9/+=]",
        16,
        if_=r"(?=[A-Za-z/+=]{0,80}\d)",
    ),
    _family(
        "=",
        [(f"(?i:{_behind(*(f'[?&]{name}=' for name in _QUERY))})", "[A-Za-z0-9._~%+/=-]", 8)],
        most=_TOKEN_LENGTH,
        least="(?=[A-Za-z0-9._~%+/=-]{8})",
    ),
    Shape(
        # A user's name and a password; or one word that is no name: https://TOKEN@host
        is_one=rf"://(?!{_EXAMPLE})((?=[^\s:@/]{{0,{_VALUE_LENGTH}}}:)(?!:@){_USER_INFO}{{1,{_VALUE_LENGTH}}}"
        rf"|(?=[A-Za-z_-]{{0,80}}\d){_ONE_WORD}{{16,{_VALUE_LENGTH}}})(?=@(?!sha\d))",
        may_become_one=f"://(?!{_EXAMPLE})({_USER_INFO}{{0,{_VALUE_LENGTH}}}+)",
    ),
)

SHAPES: Final = (*_TOKENS, _PRIVATE_KEY, *_PLACES)


def _with_words() -> Iterator[tuple[str, Shape]]:
    for shape in SHAPES:
        for word in shape.words:
            yield word, shape


_FAMILIES: Final = tuple(shape for shape in SHAPES if not shape.words)
_SOUGHT: Final = tuple(_with_words())
_ANY_WORD: Final = re.compile("|".join(re.escape(word) for word, _ in _SOUGHT))
_LONGEST_WORD: Final = 32
"""Of a word, and of a prefix without one: a hidden part stands directly behind that."""

_LONGEST_HEAD: Final = 512
"""From a word to the part that is hidden."""

_SEEN_BEFORE: Final = 24
"""Characters in front of a word, or of what a prefix ends with, that an expression looks at."""

_SHORTEST: Final = 13
"""Of a match, but for a password in a URL."""

_SHORT: Final = 64
"""Characters up to which one look for all families at once takes less time than one for each."""

_MAY_HIDE: Final = re.compile(r"[_-][\w.-]{10}|\.[\w-]{20}|=[\w.~%+/=-]{8}|://|A[KS]IA|AIza|eyJ|slack")
_MAY_BEGIN: Final = re.compile(r"[_.=-]|://|A[KS]IA|AIza|eyJ|slack")
"""In the last word of a text: a hidden part of a family has no blank."""
