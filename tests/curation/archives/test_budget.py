"""What is looked at once more is limited by what was read."""

from curation.archives.budget import FREE, PER_BYTE, Budget


def test_what_is_read_may_be_looked_at_again() -> None:
    """Refused once more than the free bytes and the share of what was read is spent, until more is read."""
    budget = Budget(100)
    budget.spend(FREE)
    assert budget.allows(100)
    budget.spend(PER_BYTE * 10)
    assert not budget.allows(109)
    assert budget.allows(110)


def test_a_part_keeps_to_what_the_whole_file_may_spend() -> None:
    """The free bytes belong to the file, not to each part; a refusal remains one."""
    budget = Budget(100)
    budget.spend(PER_BYTE * 10)
    assert not budget.is_kept(109)
    assert budget.is_kept(110)
    budget.spend(2 * FREE)
    assert not budget.allows(110)
    assert not budget.is_kept(FREE)
