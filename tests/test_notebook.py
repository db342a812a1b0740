from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("notebook", sorted((ROOT / "docs").glob("*.ipynb")), ids=lambda p: p.name)
def test_every_cell_runs(notebook):
    book = nbformat.read(notebook, as_version=4)
    nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    printed = [c for c in book.cells if c.cell_type == "code" and c.outputs]
    assert len(printed) > 5
