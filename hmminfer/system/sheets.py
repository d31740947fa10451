"""Spreadsheets as rows of text; this file alone knows calamine, which reads them (the optional extra ``excel``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hmminfer.errors import HmmInferError

SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def sheet_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Rows of the one sheet that holds cells, or of the sheet called "data", with their numbers in the sheet."""
    try:
        import python_calamine as calamine
    except ImportError:
        raise HmmInferError(f"'{path}' is a spreadsheet; install hmminfer[excel] to read it, or save it as 'CSV UTF-8'.") from None
    try:
        book = calamine.CalamineWorkbook.from_path(str(path))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except Exception as error:  # calamine raises a different type for each way a workbook can be broken
        raise HmmInferError(f"'{path}' cannot be read as a spreadsheet ({error}); save it again, or as 'CSV UTF-8'.") from error
    filled = {name: rows for name, rows in sheets.items() if any(any(map(_text, row)) for row in rows)}
    chosen = [name for name in filled if name.strip().lower() == "data"] or list(filled)
    if len(chosen) > 1:
        raise HmmInferError(f"'{path}' has several sheets ({', '.join(chosen)}); keep one, or call the one with the measurements 'data'.")
    return [(i + 1, [_text(cell) for cell in row]) for i, row in enumerate(filled[chosen[0]])] if chosen else []


def _text(cell: Any) -> str:
    """A cell as text: whole numbers without a decimal point, other numbers exactly."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return "" if cell is None else str(cell)
