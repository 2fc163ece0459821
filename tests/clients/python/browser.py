"""A scripted person's browser: the requests, headers and cookies of Chromium, without JavaScript."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

MOST_HOPS = 20
LARGEST_PAGE_BYTES = 1_000_000
TIMEOUT_SECONDS = 20
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36"
)
SITE_ORDER = ["same-origin", "same-site", "cross-site"]


@dataclass
class Form:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[dict[str, str]] = field(default_factory=list)


class _PageParser(HTMLParser):
    """Collects what a person can see and press."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.refresh: str | None = None
        self._form: Form | None = None
        self._button: dict[str, str] | None = None
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("script", "style", "title"):
            self._hidden += 1
        elif tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            found = re.match(r"\s*\d+(?:\.\d+)?\s*[;,]\s*url\s*=\s*['\"]?(.*?)['\"]?\s*$", values.get("content", ""), re.I)
            self.refresh = found.group(1) if found else None
        elif tag == "form":
            self._form = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form and tag == "input" and values.get("name"):
            if values.get("type", "text") not in ("submit", "button", "image", "reset"):
                self._form.fields.append((values["name"], values.get("value", "")))
        elif self._form and tag == "button":
            self._button = {"label": "", "name": values.get("name", ""), "value": values.get("value", "")}
            self._form.buttons.append(self._button)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "title"):
            self._hidden -= 1
        elif tag == "form":
            self._form = None
        elif tag == "button":
            self._button = None

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.words.append(data)
        if self._button is not None:
            self._button["label"] = " ".join((self._button["label"] + data).split())


@dataclass
class Page:
    url: str
    status: int
    headers: http.client.HTTPMessage
    html: str

    def __post_init__(self) -> None:
        parser = _PageParser()
        parser.feed(self.html)
        self.forms, self.refresh = parser.forms, parser.refresh
        self.text = " ".join(" ".join(parser.words).split())

    @property
    def referrer_policy(self) -> str:
        return self.headers.get("referrer-policy", "strict-origin-when-cross-origin")


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def relation(start: str, target: str) -> str:
    """The hosts of this world have no common parent, so equal hosts are all that "same-site" can mean."""
    if origin(start) == origin(target):
        return "same-origin"
    return "same-site" if urlsplit(start).hostname == urlsplit(target).hostname else "cross-site"


def referer(page: Page, target: str) -> str | None:
    if page.referrer_policy == "no-referrer":
        return None
    if origin(page.url) == origin(target):
        return page.url.split("#")[0]
    return None if page.referrer_policy == "same-origin" else origin(page.url) + "/"


def origin_of_post(page: Page, target: str) -> str:
    """Without a policy that forbids it, a POST names its origin; else it says `null`."""
    same = origin(page.url) == origin(target)
    told = page.referrer_policy != "no-referrer" and (page.referrer_policy != "same-origin" or same)
    return origin(page.url) if told else "null"


class Browser:
    def __init__(self, program: str | None = None) -> None:
        """`program` is the redirect URI of an MCP client: the way ends before it, on an empty page at its address."""
        self._program = program
        # By host name: like a real jar, it takes no notice of the port.
        self._jar: dict[str, dict[str, dict[str, str]]] = {}

    def open(self, url: str) -> Page:
        """A person pastes or clicks a link that came from outside the web."""
        return self._navigate(url, "GET", "none", {"sec-fetch-user": "?1"}, None)

    def press(self, page: Page, label: str) -> Page:
        """Presses the button with exactly these words."""
        for form in page.forms:
            for button in form.buttons:
                if button["label"] == label:
                    return self._submit(page, form, button)
        seen = [button["label"] for form in page.forms for button in form.buttons]
        raise LookupError(f'no button "{label}" ({page.status}); there are {seen}: {page.text[:300]}')

    def approve(self, link: str, person: str) -> Page:
        """Our page, GitHub's page as `person`, and back; answers the page where that ends."""
        return self.press(self.press(self.open(link), "Connect GitHub"), f"Authorize as {person}")

    def allow(self, link: str, person: str) -> Page:
        """The consent page of an MCP client's request, GitHub's page as `person`, and on to the client."""
        return self.press(self.press(self.open(link), "Allow and go on to GitHub"), f"Authorize as {person}")

    def allow_as(self, link: str, person: str) -> Page:
        """The consent page for somebody who is signed in here, and on to the client."""
        return self.press(self.open(link), f"Allow as @{person}")

    def _submit(self, page: Page, form: Form, button: dict[str, str]) -> Page:
        fields = form.fields + ([(button["name"], button["value"])] if button["name"] else [])
        target = urljoin(page.url, form.action or page.url)
        headers = {"sec-fetch-user": "?1"}
        if came_from := referer(page, target):
            headers["referer"] = came_from
        site = relation(page.url, target)
        if form.method != "post":
            return self._navigate(f"{target.split('?')[0]}?{urlencode(fields)}", "GET", site, headers, None)
        headers["origin"] = origin_of_post(page, target)
        return self._navigate(target, "POST", site, headers, urlencode(fields))

    def _navigate(self, url: str, method: str, site: str, headers: dict[str, str], body: str | None) -> Page:
        for _ in range(MOST_HOPS):
            page = self._send(url, method, site, headers, body)
            location = page.headers.get("location")
            if location is None and page.refresh is None:
                return page
            target = urljoin(url, location or page.refresh or "")
            if self._program and target.startswith(f"{self._program}?"):
                return Page(target, page.status, page.headers, "")
            if location is None:
                came_from = referer(page, target)
                site, headers = relation(url, target), ({"referer": came_from} if came_from else {})
                method, body = "GET", None
            else:
                # A redirect keeps the worst relation of its chain; 307 and 308 keep the method, the others turn into GET.
                if site != "none":
                    site = max(site, relation(url, target), key=SITE_ORDER.index)
                headers = {name: value for name, value in headers.items() if name != "origin"}
                if page.status in (307, 308):
                    headers["origin"] = "null"
                else:
                    method, body = "GET", None
            url = target
        raise RuntimeError(f"more than {MOST_HOPS} hops, the last to {origin(url)}")

    def _send(self, url: str, method: str, site: str, extra: dict[str, str], body: str | None) -> Page:
        parts = urlsplit(url)
        if parts.scheme != "http":
            raise ValueError(f"this browser has no {parts.scheme}: ({origin(url)})")
        headers = {
            "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
            "accept-language": "en",
            "user-agent": AGENT,
            "upgrade-insecure-requests": "1",
            "sec-fetch-dest": "document",
            "sec-fetch-mode": "navigate",
            "sec-fetch-site": site,
            **extra,
        }
        if cookies := self._cookies_for(parts.hostname or "", method, site):
            headers["cookie"] = cookies
        if body is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
            answer = connection.getresponse()
            html = answer.read(LARGEST_PAGE_BYTES).decode()
            self._keep_cookies(parts.hostname or "", answer.headers.get_all("set-cookie") or [])
            return Page(url, answer.status, answer.headers, html)
        finally:
            connection.close()

    def _cookies_for(self, host: str, method: str, site: str) -> str:
        def goes(cookie: dict[str, str]) -> bool:
            return site != "cross-site" or (cookie["samesite"] == "lax" and method == "GET")

        return "; ".join(f"{name}={cookie['value']}" for name, cookie in self._jar.get(host, {}).items() if goes(cookie))

    def _keep_cookies(self, host: str, lines: list[str]) -> None:
        """Keeps what this server sets: host-only cookies of the whole site, ended by `Max-Age=0`."""
        for line in lines:
            pair, *attributes = [part.strip() for part in line.split(";")]
            name, _, value = pair.partition("=")
            said = {key.lower(): argument for key, _, argument in (part.partition("=") for part in attributes)}
            if name.startswith("__Host-") and ("secure" not in said or said.get("path") != "/" or "domain" in said):
                continue  # Chromium drops it too
            if said.get("max-age", "1").lstrip("-").isdigit() and int(said.get("max-age", "1")) <= 0:
                self._jar.get(host, {}).pop(name, None)
                continue
            self._jar.setdefault(host, {})[name] = {"value": value, "samesite": said.get("samesite", "lax").lower()}
