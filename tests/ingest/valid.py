"""A small valid file of every kind that is read, made by the tests' own generators."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.ingest.ole import write_msg
from tests.ingest.test_parsers_data import epub
from tests.ingest.test_parsers_ocr import picture
from tests.ingest.test_parsers_odf import SAMPLE, odf
from tests.ingest.test_parsers_office import docx_file, pptx_file, xlsx_file
from tests.ingest.test_parsers_pdf import draw, lines

ARTICLE = """<?xml version="1.0" encoding="UTF-8"?>
<article><front><article-meta><title-group><article-title>Pumps at sea</article-title></title-group>
<contrib-group><contrib><name><surname>Ray</surname><given-names>Ada</given-names></name></contrib>
</contrib-group><abstract><p>Short.</p></abstract></article-meta></front>
<body><sec><title>Methods</title><p>We pumped <italic>x</italic> litres.</p>
<table-wrap><label>Table 1</label><caption><p>Flow.</p></caption>
<table><tr><th>a</th><th>b</th></tr>
<tr><td rowspan="2">1</td><td>2</td></tr><tr><td>3</td></tr></table></table-wrap></sec></body>
<back><ref-list><ref><mixed-citation>Ray 2020, Pumps.</mixed-citation></ref></ref-list></back>
</article>"""
FEED = """<rss version="2.0"><channel><title>News</title><item><title>First</title>
<pubDate>Mon, 1 Jan 2024</pubDate><description>&lt;p&gt;Some &lt;b&gt;words&lt;/b&gt;.&lt;/p&gt;
</description></item></channel></rss>"""
NOTEBOOK = {
    "nbformat": 4,
    "cells": [
        {"cell_type": "markdown", "source": ["# Flow\n", "\n", "Some *words*."]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"text": ["1\n"]}]},
    ],
}
_PAGE = """<html><head><title>Fees</title></head><body><nav>Home</nav><h1>Fees</h1>
<p>All fees are in <b>euros</b>.</p><ol><li>one<li>two</ol><table><tr><th>a<th>b
<tr><td colspan=2>1<tr><td>2<td>3</table><pre>code</pre></body></html>"""
_MAIL = (
    "From: Alice <a@example.com>\nTo: b@example.com\nSubject: =?utf-8?B?R3LDvG4=?=\n"
    'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--x\n'
    "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    "Gr=C3=BC=C3=9Fe and more.\n--x\nContent-Type: text/plain\n"
    'Content-Disposition: attachment; filename="a.txt"\n\nattached\n--x--\n'
)
_TEXTS = {
    "csv": ("a.csv", 'Article;Price\nKP-1;2,50\n"KP;2";3\n'),
    "html": ("a.html", _PAGE),
    "markdown": (
        "a.md",
        "# Fees\n\nSome *words*.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    ),
    "text": ("a.txt", "First paragraph.\n\nSecond — with “quotes”, Grüße, 日本語.\n"),
    "eml": ("a.eml", _MAIL),
    "rtf": (
        "a.rtf",
        "{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}{\\info{\\title Fees}}\\f0 "
        "Gr\\'fc\\'dfe and \\u8364?.\\par"
        "\\trowd\\cellx100\\cellx200 a\\cell b\\cell\\row\\pard end\\par}",
    ),
    "json": ("a.json", '{"a": {"b": [1, 2.5e3, null]}, "rows": [{"x": "one"}, {"x": "two"}]}'),
    "xml": ("a.nxml", ARTICLE),
    "notebook": ("a.ipynb", json.dumps(NOTEBOOK)),
    "code": ("a.py", "import os\n\n\ndef f(x):\n    return x + 1\n"),
}


def _image(path: Path) -> Path:
    picture((10, 10, "Pump 4711", 24), size=(200, 50)).save(path)
    return path


def _msg(path: Path) -> Path:
    return write_msg(path, {0x37: "Subject", 0x1000: "Some words.", 0x0C1A: "Alice"})


_MADE: dict[str, Callable[[Path], Path]] = {
    "a.docx": docx_file,
    "a.pptx": pptx_file,
    "a.xlsx": xlsx_file,
    "a.pdf": lambda path: draw(path, lines("Fees", "All fees are in euros."), [(60, 99, "Two")]),
    "a.odt": lambda path: odf(path, SAMPLE["odt"]),
    "a.ods": lambda path: odf(path, SAMPLE["ods"]),
    "a.odp": lambda path: odf(path, SAMPLE["odp"]),
    "a.epub": epub,
    "a.msg": _msg,
    "a.png": _image,
    "a.jpg": _image,
    "a.tif": _image,
}


def valid_files(folder: Path) -> list[Path]:
    """One file of each kind, of images several."""
    made = [make(folder / name) for name, make in _MADE.items()]
    for name, text in (*_TEXTS.values(), ("b.xml", FEED)):
        (folder / name).write_text(text, "utf-8")
        made.append(folder / name)
    return made
