from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.lib.logs import configure, logger
from pipeline.lib.text import one_line


@given(st.text())
def test_a_text_on_one_line_has_no_second_and_paints_no_terminal(text: str):
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text: str):
    assert one_line(text) == text


def test_a_message_with_line_breaks_is_one_line_on_the_screen_and_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = logger.handlers[:], logger.propagate, logger.level
    configure(tmp_path, verbose=False)
    try:
        logger.warning("asked: %s", "hello\nERROR all is lost\r\x1b[31m\u2028<3>x")
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            logger.error("told", exc_info=True)
    finally:
        for handler in logger.handlers:
            handler.close()
        logger.handlers[:], logger.propagate = before[:2]
        logger.setLevel(before[2])
    said = capsys.readouterr().err.splitlines()
    assert said == ["WARNING asked: hello\\nERROR all is lost\\r\\x1b[31m\\u2028<3>x", "ERROR told"]
    written = (tmp_path / "nightschool.log").read_text().splitlines()
    assert written[0].endswith(said[0])
    assert "Traceback" in written[2]
