"""The page in Chromium, without a network: what a person sees and does."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tasks.test_locating import cells, places  # noqa: F401, fixtures
from tests.web.serving import make_finder, photo, serving

pytest.importorskip("fastapi", reason="needs requirements-app.txt")
pytest.importorskip("uvicorn", reason="needs requirements-app.txt")
playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium")]
# Names of other hosts lead nowhere, so that a request to one fails even where there is a network.
ARGUMENTS = [
    "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        own = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield own
        own.close()


@pytest.fixture(scope="module")
def address(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: F811
    finder = make_finder(cells, max_bytes=1_000_000)
    example = tmp_path_factory.mktemp("example") / "a.png"
    example.write_bytes(photo("PNG"))
    with serving(finder, examples=[finder.pictures.add(example)]) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(browser, address: str, request: pytest.FixtureRequest):
    """The page in a window of its own; at the end, that no other host was asked and that no script failed."""
    context = browser.new_context(**getattr(request, "param", {}))
    own, others, errors = context.new_page(), [], []
    context.on("request", lambda asked: None if asked.url.startswith((address, "blob:")) else others.append(asked.url))
    own.on("pageerror", lambda error: errors.append(str(error)))
    own.on("console", lambda line: errors.append(line.text) if "Security" in line.text else None)
    own.goto(address)
    own.wait_for_selector("#examples button")
    yield own
    context.close()
    assert others == [] and errors == []


def upload(page, data: bytes, name: str = "a.jpg", kind: str = "image/jpeg") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": data})


def answered(page, count: int = 3) -> list[str]:
    page.wait_for_selector("#answers button")
    found = page.locator("#answers .place").all_inner_texts()
    assert len(found) == count and page.locator("#status").inner_text().startswith(f"Best answer: {found[0]} (")
    return found


def colours(page) -> list[int]:
    """The numbers of pixels of the map in the colours of answers, land and sea."""
    return page.evaluate("""() => {
        const canvas = document.querySelector("canvas"), style = getComputedStyle(document.documentElement);
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, names = new Map();
        for (let i = 0; i < pixels.length; i += 4) {
          const key = pixels.slice(i, i + 3).join();
          names.set(key, (names.get(key) ?? 0) + 1);
        }
        return ["--answer", "--land", "--sea"].map(name => {
          const hex = style.getPropertyValue(name).trim();
          return names.get([1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16)).join()) ?? 0;
        });
    }""")


def test_an_upload_is_answered_and_drawn(page):
    page.wait_for_timeout(200)
    before = colours(page)
    assert before[0] == 0 and before[1] > 10_000 and before[2] > 10_000
    upload(page, photo())
    first = answered(page)
    page.wait_for_timeout(200)
    assert colours(page)[0] > 300
    assert page.locator("#answers .share").first.inner_text().endswith("%")
    page.locator("#answers button").nth(1).click()
    assert page.locator("#answers button").nth(1).get_attribute("aria-pressed") == "true"
    upload(page, photo(seed=3))  # another one replaces it
    assert len(answered(page)) == len(first)


def test_the_camera_takes_a_photo_and_is_switched_off(page):
    page.click("#camera")
    page.wait_for_selector("#shooting[open] video")
    for _ in range(100):
        if page.evaluate("document.querySelector('video').videoWidth"):
            break
        page.wait_for_timeout(50)
    page.click("#shoot")
    answered(page)
    assert page.evaluate("document.querySelector('video').srcObject") is None
    assert not page.locator("#shooting").is_visible()
    page.click("#camera")
    page.wait_for_selector("#shooting[open]")
    page.keyboard.press("Escape")
    assert not page.locator("#shooting").is_visible()


def test_examples_drop_and_paste(page):
    page.click("#examples button")
    answered(page)
    give = """([kind, data]) => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(data)], "a.png", { type: "image/png" }));
        const event = kind === "drop" ? new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true })
          : new ClipboardEvent(kind, { clipboardData: files, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        upload(page, b"nothing")
        page.wait_for_selector("#error:not([hidden])")
        page.evaluate(give, [kind, list(photo("PNG"))])
        answered(page)


def test_what_the_network_looked_at_is_shown_on_request(page):
    upload(page, photo())
    answered(page)
    plain = page.get_attribute("#photo", "src")
    page.click("#attention")
    page.wait_for_selector("#attention[aria-pressed=true]")
    assert (
        page.get_attribute("#photo", "src") != plain
        and page.evaluate("document.querySelector('#photo').naturalWidth") == 77
    )
    page.click("#attention")
    assert page.get_attribute("#photo", "src") == plain


@pytest.mark.parametrize(
    ("data", "name", "kind", "words"),
    [
        (b"nothing", "a.jpg", "image/jpeg", "This is not a photo in JPEG, PNG or WebP format."),
        (b"<svg onload='alert(1)'/>", "../../a.svg", "image/svg+xml", "Only photos in JPEG, PNG or WebP"),
        (photo()[:-200], "a.jpg", "image/jpeg", "damaged"),
        (bytes(1_000_001), "a.jpg", "image/jpeg", "too large; at most 1 MB"),
        (photo(size=(900, 40)), "a.jpg", "image/jpeg", "too long and narrow"),
    ],
)
def test_mistakes_are_said(page, data: bytes, name: str, kind: str, words: str):
    upload(page, data, name, kind)
    page.wait_for_selector("#error:not([hidden])")
    assert words in page.locator("#error").inner_text()
    assert page.locator("#answers li").count() == 0 and page.locator("#status").inner_text() == ""
    upload(page, photo())
    answered(page)
    assert not page.locator("#error").is_visible()


def test_a_busy_server_is_asked_again(page):
    asked = []

    def busy(route) -> None:
        asked.append(route.request.url)
        if len(asked) > 1:
            route.fallback()
        else:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"detail": "busy"})

    page.route("**/api/locate", busy)
    upload(page, photo())
    page.wait_for_selector("#status.working")
    page.wait_for_timeout(300)
    assert "The server is busy" in page.locator("#status").inner_text()
    answered(page)
    assert len(asked) == 2
    page.unroute("**/api/locate")
    page.route("**/api/locate", lambda route: route.abort())
    upload(page, photo())
    page.wait_for_selector("#error:not([hidden])")
    assert page.locator("#error").inner_text() == "The server cannot be reached."


def test_the_keyboard_reaches_everything(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"choose", "camera", "in", "out", "fit", "CANVAS"} <= set(reached)
    page.focus("#examples button")
    page.keyboard.press("Enter")
    answered(page)
    page.focus("canvas")
    before = page.locator("#scale").inner_text()
    for _ in range(6):
        page.keyboard.press("+")
    page.wait_for_timeout(200)
    assert page.locator("#scale").inner_text() != before
    page.keyboard.press("0")
    page.wait_for_timeout(200)
    assert page.locator("#scale").inner_text() == before


def test_every_control_and_picture_has_a_name(page):
    upload(page, photo())
    answered(page)
    nameless = page.evaluate("""() => {
        const named = own => own.textContent.trim() || own.getAttribute("aria-label") || own.alt;
        const all = [...document.querySelectorAll("button, img, canvas, section, dialog")];
        return all.filter(own => !named(own) && !own.querySelector("img")?.alt).map(own => own.outerHTML);
    }""")
    assert nameless == []
    assert page.get_attribute("html", "lang") == "en" and page.locator("h1").count() == 1
    assert page.get_attribute("#status", "role") == "status" and page.get_attribute("#error", "role") == "alert"


@pytest.mark.parametrize("page", [PHONE, PHONE | {"color_scheme": "dark"}], indirect=True)
def test_a_phone_shows_everything_without_scrolling_sideways(page):
    page.tap("#examples button")
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for box in [own.bounding_box() for own in page.locator("button:visible").all()]:
        assert box["height"] >= 44
    top = [page.locator(name).bounding_box()["y"] for name in ("#drop", "#photo", "#status", "#map", "#answers")]
    assert top == sorted(top)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(29, 32, 37)" if dark else "rgb(255, 255, 255)"
    )


def test_database_pictures_are_shown(browser, places: Path, city: Path):  # noqa: F811
    with serving(make_finder(places, city / "test" / "database", top_k=2)) as port:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        upload(page, next((city / "test" / "queries").iterdir()).read_bytes())
        page.wait_for_selector("#answers img")
        page.wait_for_timeout(300)
        widths = page.evaluate("[...document.querySelectorAll('#answers img')].map(own => own.naturalWidth)")
        assert widths == [64, 64] and "similarity" in page.locator("#answers .share").first.inner_text()
        assert not page.locator("#heat").is_visible()
        page.close()


def test_the_page_of_the_api_says_what_there_is(page, address: str):
    page.goto(address + "/api")
    page.wait_for_selector("#schemas table")
    text = page.locator("main").inner_text()
    assert (
        "POST /api/locate" in text and "Retry-After" in text and f"{address}/api/locate" in text and "latitude" in text
    )
