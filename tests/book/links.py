"""Every link and picture of the built book is in it, and every anchor is on the page that it names.

Owns what mdBook made of the pages. Asks nothing of the network, and leaves out print.html, which repeats all pages.
"""

import pathlib
import sys
import urllib.parse
from html.parser import HTMLParser


class Page(HTMLParser):
    """The ids of a page, and what it refers to."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.targets = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if named.get("id"):
            self.ids.add(named["id"])
        target = named.get("href" if tag in ("a", "link") else "src")
        if target:
            self.targets.append(target)


def main(book):
    # The page for what is not found has links that begin at the root of a site.
    made_otherwise = {"print.html", "404.html", "toc.html"}
    pages = {path: Page(path) for path in sorted(book.rglob("*.html")) if path.name not in made_otherwise}
    wrong, count = [], 0
    for path, page in pages.items():
        for target in page.targets:
            url = urllib.parse.urlsplit(target)
            if url.scheme or url.netloc or url.path.endswith("print.html"):
                continue
            count += 1
            named = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            if not named.exists():
                wrong.append(f"{path.relative_to(book)}: {target}: no such file")
            elif url.fragment and named in pages and urllib.parse.unquote(url.fragment) not in pages[named].ids:
                wrong.append(f"{path.relative_to(book)}: {target}: no such anchor")
    for line in wrong:
        print(f"FAILED: {line}")
    if wrong or count < 100:
        sys.exit(f"book: {len(wrong)} of {count} links lead nowhere")
    print(f"book: {len(pages)} pages, {count} links, all of them lead somewhere")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
