"""Secrets: keys with a known prefix, private keys, and passwords in URLs, in linear time.

A key is recognized by the prefix that its issuer publishes, so that it can be found, and by its length and characters.
What documentation shows instead of a key is left alone: `sk_live_xxxxxxxx`, `AKIAIOSFODNN7EXAMPLE`,
`https://user:$PASSWORD@host`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from curation.pii.evidence import Match
from curation.pii.recognizers import Span

FAKE_SECRET = "REDACTED"
MAX_PRIVATE_KEY = 32_768
"""Characters between the lines BEGIN and END of a private key; one of 16,384 bits has 13,000."""
_MIN_KEY_CHARACTERS = 32
_MIN_KINDS = 2

KEYS = {
    "AWS": r"A(?:K|S)IA[A-Z0-9]{16}",
    "Anthropic": r"sk-ant-[A-Za-z0-9_-]{20,200}",
    "age": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    "Databricks": r"dapi[0-9a-f]{32}(?:-[0-9])?",
    "DigitalOcean": r"do[opr]_v1_[0-9a-f]{64}",
    "Docker": r"dckr_[po]at_[A-Za-z0-9_-]{27,60}",
    "GitHub": r"gh[pousr]_[A-Za-z0-9]{36,251}",
    "GitHub, fine-grained": r"github_pat_[A-Za-z0-9_]{36,251}",
    "GitLab": r"gl(?:pat|dt|rt|ptt|ft|cbt|soat|agent|imt|oas)-[A-Za-z0-9_-]{20,200}",
    "Google": r"AIza[A-Za-z0-9_-]{35}",
    "Grafana": r"glsa_[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}",
    "HashiCorp Vault": r"hv[sbr]\.[A-Za-z0-9_-]{24,300}",
    "Hugging Face": r"hf_[A-Za-z0-9]{30,60}",
    "JSON Web Token": (
        # The first part does not reach over what may be another start, so that no character is read twice.
        r"eyJ(?:[A-Za-z0-9]|[_-](?!eyJ)){10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}"
    ),
    "npm": r"npm_[A-Za-z0-9]{36}",
    "OpenAI": r"sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{32,200}|[A-Za-z0-9]{32,64})",
    "PyPI": r"pypi-[A-Za-z0-9_-]{40,250}",
    "SendGrid": r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    "Shopify": r"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}",
    "Slack": (
        r"(?:xox[abceoprs]|xapp)-[0-9][A-Za-z0-9-]{10,250}|xoxe\.xox[bp]-[0-9]-[A-Za-z0-9-]{20,400}"  # not "xoxo-love"
    ),
    "Slack webhook": r"(?<=hooks\.slack\.com/services/)T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}",
    "Stripe": r"[sr]k_live_[A-Za-z0-9]{16,247}|whsec_[A-Za-z0-9+/=]{32,64}",
    "Telegram": r"[0-9]{8,10}:[A-Za-z0-9_-]{35}",
    "Twilio": r"(?:SK|AC)[0-9a-f]{32}",
}
"""How the keys of each issuer are written. Documented in docs/personal-data.md, with sources."""
_KEY = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(KEYS.values())})(?![A-Za-z0-9_])")
_PLACEHOLDER = re.compile(r"example|placeholder|sample|dummy|redacted|your|(.)\1{4}|\.\.\.", re.IGNORECASE)
"""What no random key contains: words, or a character five times in a row."""

_URL_PASSWORD = re.compile(r"://[^\s/?#<>\"':@]{0,100}+:([^\s/?#<>\"]{1,200})@(?=[\w\[])")
_TEMPLATE = re.compile(rf"\$.+|[{{\[(].+[}}\])]|%\w|(.)\1*|{FAKE_SECRET}", re.DOTALL)
"""What stands for a password: "$PASSWORD", "{password}", "%s", "****"."""
_KEY_LINES = re.compile(r"(?<=-----)(?:\s*+[A-Za-z0-9+/=]{16,128}+(?=\s|$))++")
_KEY_LINE = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?)-----")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{16,}+")


def secrets(text: str, *_: object) -> Iterator[Span]:
    """Keys, private keys and passwords in URLs, each in the order of the text."""
    for match in _KEY.finditer(text):
        body = match[0]
        if not _PLACEHOLDER.search(body) and _is_random(body):
            yield Span(*match.span(), 1.0)
    for match in _URL_PASSWORD.finditer(text):
        if not _TEMPLATE.fullmatch(match[1]):
            yield Span(*match.span(1), 1.0)
    yield from _private_keys(text)


def judge_secret(text: str, span: Span) -> Match:
    """The match of a span. All secrets have the same value, so that their replacement tells nothing about them."""
    return Match("secret", span.start, span.end, span.score, "")


def _is_random(key: str) -> bool:
    """Whether a key has at least two of digits, capitals and small letters, as nearly all random ones do."""
    return any(map(str.isdigit, key)) + any(map(str.isupper, key)) + any(map(str.islower, key)) >= _MIN_KINDS


def _private_keys(text: str) -> Iterator[Span]:
    """Private keys from the line BEGIN to the next line END; without one, as far as the encoded lines go."""
    begin: re.Match[str] | None = None
    for line in _KEY_LINE.finditer(text):
        if line[1] == "BEGIN":
            if begin is not None:
                yield from _cut_off_key(text, begin)
            begin = line
        elif begin is not None:
            size = line.start() - begin.end()
            if begin[2] != line[2] or size > MAX_PRIVATE_KEY:
                yield from _cut_off_key(text, begin)
            elif _has_key(text, begin.end(), line.start()):
                yield Span(begin.start(), line.end(), 1.0)
            begin = None
    if begin is not None:
        yield from _cut_off_key(text, begin)


def _cut_off_key(text: str, begin: re.Match[str]) -> Iterator[Span]:
    """A private key whose line END is missing, as on a page that breaks off."""
    lines = _KEY_LINES.match(text, begin.end(), begin.end() + MAX_PRIVATE_KEY)
    if lines is not None and _has_key(text, begin.end(), lines.end()):
        yield Span(begin.start(), lines.end(), 1.0)


def _has_key(text: str, start: int, end: int) -> bool:
    """Whether a key is encoded in a stretch of text, not just an ellipsis."""
    return sum(len(part) for part in _KEY_BODY.findall(text, start, end)) >= _MIN_KEY_CHARACTERS
