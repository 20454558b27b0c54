"""What a run tells its user."""

import pytest

from metatrain.errors import MetatrainError
from metatrain.log import duration, live_line, logger, logging_to_console, logging_to_file


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (12.3, "12 s"),
        (59.7, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (3599.9, "1 h 00 min"),
        (18120.0, "5 h 02 min"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


def test_console_and_file_get_the_same_and_a_warning_says_so(tmp_path, capsys):
    with logging_to_console(), logging_to_file(tmp_path / "train.log"):
        logger.info("%d systems", 3)
        logger.warning("no forces")
    assert capsys.readouterr().out == "3 systems\nwarning: no forces\n"
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["3 systems", "warning: no forces"]


def test_brackets_are_no_markup_and_long_lines_stay_whole(capsys):
    text = "[bold]training_set[0][/bold] " + 300 * "x"
    with logging_to_console():
        logger.info(text)
    assert capsys.readouterr().out == text + "\n"


def test_nothing_is_printed_once_it_is_over(capsys):
    with logging_to_console():
        pass
    logger.info("late")
    assert capsys.readouterr().out == ""


def test_a_mistake_ends_the_file_as_one_line(tmp_path):
    with pytest.raises(MetatrainError), logging_to_file(tmp_path / "train.log"):
        raise MetatrainError("the file is empty.")
    (line,) = (tmp_path / "train.log").read_text().splitlines()
    assert line.endswith("error: the file is empty.")


def test_a_bug_leaves_its_traceback_in_the_file_and_says_where(tmp_path):
    with pytest.raises(ZeroDivisionError) as caught, logging_to_file(tmp_path / "train.log"):
        1 / 0  # noqa: B018
    assert "Traceback" in (tmp_path / "train.log").read_text()
    assert str(tmp_path / "train.log") in caught.value.__notes__[0]


def test_there_is_no_live_line_where_there_is_no_terminal(capsys):
    with logging_to_console(), live_line() as line:
        line.show("epoch 1/3")
    assert capsys.readouterr().out == ""
