"""The pictures of the documents: those that are kept are there, and the folder holds no others."""

from local.screenshots.__main__ import IMAGES, KEPT, WIDTHS, target
from local.screenshots.month import pages
from local.screenshots.visits import nobody

BYTES_MAX = 1_200_000


def test_what_is_kept_is_what_stands_in_the_documents_folder() -> None:
    names = {visit.name for visit in pages(nobody)}
    kept = {path for name in names for width in WIDTHS if (path := target(name, width)).parent == IMAGES}
    assert {path.stem for path in kept} == set(KEPT)
    assert kept == set(IMAGES.glob("*.png"))
    assert sum(path.stat().st_size for path in kept) < BYTES_MAX
