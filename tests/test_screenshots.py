"""The pictures of the documents: every page of the navigation has one, and those that are kept are there."""

from local.screenshots import IMAGES, KEPT, MEMBER_PAGES, OPERATOR_PAGES, WIDTHS, target
from web.pages.frame import SECTIONS

BYTES_MAX = 1_200_000


def test_every_page_of_the_navigation_is_taken() -> None:
    assert list(MEMBER_PAGES.values()) == [entry.path for entry in SECTIONS]


def test_what_is_kept_is_what_stands_in_the_documents_folder() -> None:
    names = {*MEMBER_PAGES, *OPERATOR_PAGES, "sign-in"}
    kept = {path for name in names for width in WIDTHS if (path := target(name, width)).parent == IMAGES}
    assert {path.stem for path in kept} == set(KEPT)
    assert kept == set(IMAGES.glob("*.png"))
    assert sum(path.stat().st_size for path in kept) < BYTES_MAX
