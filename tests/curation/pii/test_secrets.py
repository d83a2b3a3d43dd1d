"""Secrets: keys, private keys and passwords in URLs are found; placeholders and near-misses are not."""

from __future__ import annotations

import random
import string

import pytest
from growth import assert_linear

from curation.pii.secrets import FAKE_SECRET, KEYS, MAX_PRIVATE_KEY, secrets

chance = random.Random(3)


def made(size: int, letters: str = string.ascii_letters + string.digits) -> str:
    """Random characters of a key."""
    return "".join(chance.choices(letters, k=size))


UPPER, HEXADECIMAL, TOKEN = (
    string.ascii_uppercase + string.digits,
    "0123456789abcdef",
    string.ascii_letters + "0123456789_-",
)
EXAMPLES = {
    "AWS": [f"AKIA{made(16, UPPER)}", f"ASIA{made(16, UPPER)}"],
    "Anthropic": [f"sk-ant-api03-{made(93, TOKEN)}AA"],
    "age": [f"AGE-SECRET-KEY-1{made(58, UPPER)}"],
    "Databricks": [f"dapi{made(32, HEXADECIMAL)}"],
    "DigitalOcean": [f"{prefix}_v1_{made(64, HEXADECIMAL)}" for prefix in ("dop", "doo", "dor")],
    "Docker": [f"dckr_pat_{made(26)}1"],
    "GitHub": [f"{prefix}_{made(36)}" for prefix in ("ghp", "gho", "ghu", "ghs", "ghr")],
    "GitHub, fine-grained": [f"github_pat_{made(22)}_{made(59)}"],
    "GitLab": [f"glpat-{made(20)}", f"glrt-{made(20)}"],
    "Google": [f"AIza{made(35)}"],
    "Grafana": [f"glsa_{made(32)}_{made(8, HEXADECIMAL)}"],
    "HashiCorp Vault": [f"hvs.{made(90)}"],
    "Hugging Face": [f"hf_{made(34, string.ascii_letters)}"],
    "JSON Web Token": [
        f"eyJ{made(33, letters)}.eyJ{made(90, letters)}.{made(43, TOKEN)}a" for letters in (UPPER, TOKEN)
    ],
    "npm": [f"npm_{made(36)}"],
    "OpenAI": [f"sk-{made(20)}T3BlbkFJ{made(20)}", f"sk-proj-{made(100, TOKEN)}a"],
    "PyPI": [f"pypi-AgEIcHlwaS5vcmcC{made(120)}"],
    "SendGrid": [f"SG.{made(22)}.{made(43)}"],
    "Shopify": [f"shp{kind}_{made(32, HEXADECIMAL)}" for kind in ("at", "ca", "pa", "ss")],
    "Slack": [f"xox{kind}-{made(12, string.digits)}-{made(24)}" for kind in "abpr"]
    + [f"xapp-1-{made(11, UPPER)}-{made(12, string.digits)}-{made(64, HEXADECIMAL)}"],
    "Slack webhook": [],
    "Stripe": [f"sk_live_{made(24)}", f"rk_live_{made(24)}", f"whsec_{made(32)}"],
    "Telegram": [f"{made(10, '123456789')}:AA{made(33)}"],
    "Twilio": [f"SK{made(32, HEXADECIMAL)}", f"AC{made(32, HEXADECIMAL)}"],
}
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(made(64) for _ in range(12)) + "\n-----END RSA PRIVATE KEY-----"


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in secrets(text)]


def test_an_example_of_every_issuer() -> None:
    """There are examples of the keys of all issuers."""
    assert EXAMPLES.keys() == KEYS.keys()


@pytest.mark.parametrize("key", [key for keys in EXAMPLES.values() for key in keys])
def test_keys(key: str) -> None:
    """A key is found alone, quoted and assigned, and not as part of a longer word."""
    assert found(key) == [key]
    assert found(f'API_KEY="{key}"\n') == [key]
    assert found(f"key: {key}, and 密钥{key}。") == [key, key]
    assert found(f"token_{key} session-{key}") == [key, key]
    assert found(f"x{key}") == []


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE and AKIAXXXXXXXXXXXXXXXX",
        "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx sk_live_your_key_here sk_test_4eC39HqLyjWDarjtT1zdp7dc",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ghp_short",
        "sk-... sk-your-api-key-goes-here-please sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-fading-circle-container-animation-delay",
        "hf_example_token_that_is_no_token_at_all_x xoxb-your-token-goes-here",
        "xoxo-with-love-from-Anna-2020",
        "AIzaSyExampleExampleExampleExampleExampleEx",
        "SG.placeholder.placeholder eyJhbGciOiJIUzI1NiJ9",
        "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n" + "A1b2" * 40 + "\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\n" + "A1b2" * 40,
        "https://user:$PASSWORD@h.org https://user:${PW}@h.org https://user:{{ pw }}@h.org ftp://u:%s@h.org",
        "https://user:****@h.org https://user:xxxx@h.org https://user:<password>@h.org https://user:[pw]@h.org",
        "https://user@h.org:8080/ http://h.org:80/a@b ssh://git@h.org",
    ],
)
def test_placeholders_and_near_misses(text: str) -> None:
    """Documented examples, placeholders, shorter words and public keys are left alone."""
    assert found(text) == []


def test_other_secrets_of_slack() -> None:
    """Tokens that are replaced by new ones are found, and what is secret in the URL of a webhook, without the host."""
    path = f"T{made(8, UPPER)}/B{made(10, UPPER)}/{made(24)}"
    assert found(f"xoxe.xoxp-1-{'aB3d' * 15}") == [f"xoxe.xoxp-1-{'aB3d' * 15}"]
    assert found(f"curl https://hooks.slack.com/services/{path} and https://x.org/services/{path}") == [path]


def test_a_private_key_that_breaks_off() -> None:
    """Without the line END, a private key is replaced as far as its encoded lines go."""
    cut = KEY.partition("\n-----END")[0]
    assert found(f"a {cut}") == [cut]
    assert found(f"{cut}\n\nThen the page goes on with other words.") == [cut]
    assert found(f"{cut}\n{KEY}") == [cut, KEY]


def test_private_keys() -> None:
    """A private key is found from its first to its last line, whatever the kind and the line ends."""
    assert found(f"a\n{KEY}\nb") == [KEY]
    assert found(f"{KEY}\n{KEY}") == [KEY, KEY]
    joined = KEY.replace("\n", "\\n").replace("RSA ", "")
    assert found(f'"key": "{joined}"') == [joined]
    assert found("-----BEGIN RSA PRIVATE KEY-----\nabc\n" + KEY) == [KEY]
    assert found(KEY.replace("END RSA", "END EC")) == [KEY.partition("\n-----END")[0]]
    assert found(KEY[:40] + "A1" * MAX_PRIVATE_KEY + KEY[40:]) == []


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("postgres://app:s3cret@db.firma.de:5432/app", "s3cret"),
        ("https://ann:p@ss!@h.org/", "p@ss!"),
        ("redis://:pw@cache", "pw"),
        ("mongodb+srv://u:p%40ss@c0.x.net/test", "p%40ss"),
        ("jdbc:mysql://u:password@[::1]/x", "password"),
    ],
)
def test_passwords_in_urls(text: str, password: str) -> None:
    """The password of the user in a URL is found, and nothing else of the URL."""
    assert found(text) == [password]


def test_a_replaced_secret_is_none() -> None:
    """What replaces a secret is not found again."""
    for replacement in (FAKE_SECRET, "<SECRET>"):
        assert found(f"https://u:{replacement}@h.org {replacement}") == []


@pytest.mark.parametrize(
    "part",
    [
        *(
            "sk-",
            "sk-a",
            "eyJ",
            "eyJ_",
            "eyJa.",
            "eyJaaaaaaaaaaaa.",
            "xoxb-1",
            "://",
            "://a:",
            "://a:b@",
            "://a:b",
            "ghp_a",
        ),
        *("AKIA", "A1", "12345678:", "1", "a", "github_pat_", "SG."),
        *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"),
    ],
)
def test_linear_time(part: str) -> None:
    """The beginnings of secrets in great number take linear time."""
    assert_linear(lambda text: list(secrets(text)), lambda size: part * (size // len(part)), 8_000)
