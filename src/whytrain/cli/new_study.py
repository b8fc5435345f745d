"""A study of one's own, to begin with."""

import re
from pathlib import Path

from whytrain.errors import UserError

TEMPLATE = Path(__file__).parents[1] / "studies" / "template.py"


def new_study(file: Path) -> None:
    """Write a study of one file that runs and is explained.

    Args:
        file: Where to; its name becomes the study's.

    Raises:
        UserError: If there is such a file, it cannot be written, or its name is none for a study.
    """
    if file.suffix != ".py" or not re.fullmatch(r"\w[\w-]*", file.stem):
        raise UserError(f"give a file NAME.py, NAME of letters, digits, - and _; got {str(file)!r}")
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("template.py", str(file)).replace('"template"', f'"{file.stem}"')
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise UserError(f"{file} is there already; give another name, or remove it") from None
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from error
