"""What models cost, by their gateway's word and by the owner's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker_core.budgets.prices import BrokenPrices, Prices, parse
from worker_core.model.answer import Usage

USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=100_000, total_tokens=1_100_000, cached_tokens=400_000)


def prices(folder: Path, text: str) -> Prices:
    file = folder / "prices.toml"
    file.write_text(text)
    return Prices(file)


def test_the_gateways_word_wins_and_nothing_is_made_up(tmp_path: Path) -> None:
    table = prices(tmp_path, '["m"]\ninput = 3\noutput = 15\n')
    said = Usage(total_tokens=5, cost=0.25)
    assert table.priced(said, "m") == (said, True)
    assert table.priced(USAGE, "another") == (USAGE, False)
    assert table.priced(Usage(), "another") == (Usage(), True), "nothing was used"
    assert Prices(tmp_path / "none.toml").priced(USAGE, "m") == (USAGE, False)


def test_the_table_knows_what_came_from_the_cache(tmp_path: Path) -> None:
    table = prices(tmp_path, '["m"]\ninput = 3\noutput = 15\ncached = 0.5\n')
    assert table.priced(USAGE, "m")[0].cost == pytest.approx(0.6 * 3 + 0.4 * 0.5 + 0.1 * 15)
    free = prices(tmp_path, '["m"]\ninput = 0\noutput = 0\n')
    assert free.priced(USAGE, "m") == (USAGE, True), "a price of nothing is known"


def test_a_name_comes_before_a_pattern_and_the_longest_pattern_first(tmp_path: Path) -> None:
    text = '["*"]\ninput = 1\noutput = 1\n["kubiya/*"]\ninput = 2\noutput = 2\n["kubiya/m"]\ninput = 3\noutput = 3\n'
    table = prices(tmp_path, text)
    found = [table.of(name) for name in ("kubiya/m", "kubiya/n", "x")]
    assert [one.input for one in found if one is not None] == [3, 2, 1]
    asked_and_answered = table.of("unknown", "kubiya/m")
    assert asked_and_answered is not None
    assert asked_and_answered.input == 3


def test_it_is_read_again_when_it_changed(tmp_path: Path) -> None:
    table = prices(tmp_path, "")
    assert not table.priced(USAGE, "m")[1]
    table.file.write_text('["m"]\ninput = 1\noutput = 1\n')
    assert table.priced(USAGE, "m")[1]
    table.file.write_text("broken [")
    assert not table.priced(USAGE, "m")[1], "a broken table says nothing"
    table.file.unlink()
    assert not table.priced(USAGE, "m")[1]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1", '["m"]\ninput = 1', '["m"]\ninput = -1\noutput = 1', '["m"]\ninput = "1"\noutput = 1',
        '["m"]\ninput = true\noutput = 1', '["m"]\ninput = 1\noutput = 1\nper_call = 2',
        '["m"]\ninput = nan\noutput = 1',
    ],
)  # fmt: skip
def test_what_is_no_price_is_a_sentence(text: str) -> None:
    with pytest.raises(BrokenPrices, match="what is no price"):
        parse(text, file="prices.toml")
