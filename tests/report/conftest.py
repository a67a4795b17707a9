import pytest

from tests import browser


@pytest.fixture(scope="session")
def chromium():
    if reason := browser.missing():
        pytest.skip(reason)
    with browser.browser() as driver:
        yield driver
