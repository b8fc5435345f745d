import json

import pytest

from whytrain import report
from whytrain.cli import main
from whytrain.errors import UserError


def test_a_page_has_a_card_for_each_report(reproduction, tmp_path, capsys):
    for name in ("toy-quick", "toy-paper"):
        report.write(reproduction, tmp_path / name)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.json").write_text("{", encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 0
    assert "index.html" in capsys.readouterr().out
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    for name in ("toy-quick", "toy-paper"):
        assert f'href="{name}/report.html"' in text
        assert f'src="{name}/figures/rate.png"' in text
    assert text.count("Does it play?") == 2
    said = json.loads((tmp_path / "toy-quick/report.json").read_text(encoding="utf-8"))
    assert said["conclusion"]["holds"] in text.replace("&#34;", '"')


def test_a_directory_without_reports_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="whytrain reproduce STUDY"):
        report.write_papers(tmp_path)
