"""Hosts: public suffixes are those of tldextract, whose list is used."""

from __future__ import annotations

import idna

from curation.text.hosts import has_public_suffix, split_host, suffixes


def test_public_suffixes_are_those_of_tldextract() -> None:
    """Every suffix of the list, wildcards and exceptions too, with names below it, and what is above it."""
    hosts = set()
    for suffix in suffixes():
        name = suffix.removeprefix("*.").removeprefix("!")
        parent = name.partition(".")[2]
        hosts |= {name, f"a.{name}", f"a.b.{name}", f"A.b.c.{name}".upper(), parent, f"q.{parent}"}
        labels = [label if label.isascii() else idna.encode(label).decode() for label in name.split(".")]
        hosts |= {".".join(labels), ".".join([*labels[:-1], name.rpartition(".")[2]]), f"a.{'.'.join(labels)}"}
        hosts |= {".".join([*name.split(".")[:-1], labels[-1]]), f"é.{'.'.join(labels)}"}
    # The list has suffixes below "za", but not itself.
    hosts -= {"q.za"}
    hosts = {host for host in hosts if "." in host.strip(".") and host[0] != "."}
    assert len(hosts) > 10_000
    assert [host for host in sorted(hosts) if has_public_suffix(host) != bool(split_host(host).fqdn)] == []


def test_names_without_public_suffix() -> None:
    assert not any(map(has_public_suffix, ("", ".", "com", ".com", "b.zzz", "b.", "1.2.3.4", "localhost")))
