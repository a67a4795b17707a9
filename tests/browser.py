"""Pages in a real headless Chromium (Debian: chromium, chromium-driver)."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Custom elements hide what they draw in shadow roots, which a plain query does not enter.
SEEK = """
const found = [];
const seek = root => root.querySelectorAll('*').forEach(element => {
  if (element.matches(arguments[0])) found.push(element);
  if (element.shadowRoot) seek(element.shadowRoot);
});
seek(document);
"""


def missing() -> str | None:
    """What is not installed, if something is."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"not installed: {', '.join(absent)} (Debian: chromium, chromium-driver)" if absent else None


@contextmanager
def browser(width: int = 1400, height: int = 1600) -> Iterator[Any]:
    """A selenium driver of a fresh Chromium, closed at the end."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", f"--window-size={width},{height}",
            f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(argument)
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def drawn(driver: Any, selector: str, value: str = "element.outerHTML") -> list[Any]:
    """`value`, JavaScript, of every element that `selector` matches, within shadow roots as well."""
    return driver.execute_script(SEEK + f"return found.map(element => {value})", selector)


@contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """The address of a TensorBoard on this machine, closed at the end."""
    command = [str(Path(sys.executable).with_name("tensorboard")), "--logdir", str(logdir)]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert server.stdout is not None
        yield next(match[1] for line in server.stdout if (match := re.search(r"(http://127[^ ]+)", line)))
    finally:
        server.kill()
        server.wait()


def wait_until(condition: Any, seconds: float = 120.0) -> float:
    """Seconds until `condition()` is true; AssertionError where it is not in time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not so within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - began
