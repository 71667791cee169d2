"""Which documents are versions of one another, and which is the newer one."""

from __future__ import annotations

import pytest

from rag.disagreement import introduced
from rag.editions import _PARTY, age, of_another_time, same_subject, same_work, years_asked
from rag.records import Passage

# title, source and the day of the file, twice; what the second one is to the first
AGES = {
    "years": (("Policy 2024", "a.docx", ""), ("Policy 2025", "b.pdf", ""), "newer"),
    "days in the name": (
        ("rules", "rules_2024-03-01.txt", ""),
        ("rules", "rules_20240115.txt", ""),
        "older",
    ),
    "dotted days": (("x", "x 01.03.2024.txt", ""), ("x", "x 15.01.2025.txt", ""), "newer"),
    "a year and a day of it": (
        ("x", "x_2024.txt", "2025-01-01"),
        ("x", "x_2024-05-01.txt", "2025-01-02"),
        "newer",
    ),
    "versions": (("Guide v2", "g2.md", "2025-01-01"), ("Guide v10", "g.md", "2024-01-01"), "newer"),
    "an archive": (
        ("Guide", "guide.md", "2024-01-01"),
        ("Guide", "archive/guide.md", "2025-01-01"),
        "older",
    ),
    "dates of files": (("x", "x.md", "2024-01-01"), ("x", "y/x.md", "2024-01-02"), "newer"),
    "nothing": (("x", "x.md", "2024-01-01"), ("x", "y/x.md", "2024-01-01"), None),
}
SAME = {
    "years": (("Travel Policy 2024", "hr/travel_2024.docx"), ("Travel Policy 2025", "hr/t.pdf")),
    "a code in one": (("Backup Policy IT-P-06, version 3", "it/b.md"), ("backup_policy_2023", "b")),
    "a draft": (("Staff Handbook", "handbook.pdf"), ("Staff Handbook (draft)", "handbook.docx")),
    "a copy": (("Guide", "guide.md"), ("Guide", "guide (1).md")),
    "folders of years": (("Guide", "2024/guide.md"), ("Guide", "2025/guide.md")),
}
OTHERS = {
    "two parties": (("Contract Alpha", "alpha.docx"), ("Contract Beta", "beta.docx")),
    "two numbers": (("Invoice", "invoice_00123.pdf"), ("Invoice", "invoice_00124.pdf")),
    "two folders": (("Budget", "sales/budget.xlsx"), ("Budget", "finance/budget.xlsx")),
    "two subjects": (("Travel Policy", "travel.pdf"), ("Backup Policy", "backup.pdf")),
}
TIMES = {
    "annual reports": ("Annual report 2023", "Annual report 2024", True),
    "minutes": ("Minutes 2025-01-22", "Minutes 2025-05-21", True),
    "one report twice": ("Annual report 2024", "Annual report 2024 final", False),
    "rules for reports": ("Expense report policy 2023", "Expense report policy 2024", False),
    "tables of two months": ("sales 2024-01.csv", "sales 2024-02.csv", True),
    "price lists": ("price list 2024.csv", "price list 2025.csv", False),
    "two mails": ("Status.eml", "Status.eml", True),
    "policies": ("Travel Policy 2024", "Travel Policy 2025", False),
}


def passage(title: str, source: str, dated: str = "") -> Passage:
    return Passage(source, source, title, source, 1, 0, 0, "", 1.0, dated=dated)


@pytest.mark.parametrize(("one", "other", "expected"), AGES.values(), ids=AGES.keys())
def test_names_tell_the_age_before_files_do(
    one: tuple[str, str, str], other: tuple[str, str, str], expected: str | None
) -> None:
    reverse = {"older": "newer", "newer": "older", None: None}
    assert age(passage(*one), passage(*other)) == expected
    assert age(passage(*other), passage(*one)) == reverse[expected]


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_versions_are_called_the_same(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert same_work(passage(*one), passage(*other))
    assert same_work(passage(*other), passage(*one))


@pytest.mark.parametrize(("one", "other"), OTHERS.values(), ids=OTHERS.keys())
def test_other_documents_are_not(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert not same_work(passage(*one), passage(*other))


@pytest.mark.parametrize(("one", "other", "expected"), TIMES.values(), ids=TIMES.keys())
def test_what_describes_a_time_is_another_document_for_another_time(
    one: str, other: str, expected: bool
) -> None:
    assert of_another_time(passage(one, one), passage(other, other)) is expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What was the limit in 2024?", {"2024"}),
        ("What is the limit since 2024?", set()),
        ("What was the limit before 1 May 2024?", set()),
        ("What was the limit from the start of 2023 in policy 2024?", {"2024"}),
        ("What was paid after the trip in 2024?", {"2024"}),
        ("Was gilt seit dem 1. Januar 2024, und was galt 2023?", {"2023"}),
        ("Quelle est la limite à partir de janvier 2024 ?", set()),
        ("Qual è il limite dal 2024?", set()),
    ],
    ids=["in", "since", "before", "start", "after a trip", "seit", "à partir", "dal"],
)
def test_a_year_that_a_time_begins_or_ends_with_is_not_asked_about(
    question: str, expected: set[str]
) -> None:
    assert years_asked(question) == expected


def test_parties_and_files_named_by_them_make_another_subject() -> None:
    one = passage("Service agreement", "contract_acme.docx")
    other = passage("Service agreement", "contract_bolt.docx")
    moved = passage("Service agreement", "agreement_signed.docx")
    text = "This agreement is made between Kestrel Weir and {}. The fee is due within 30 days."
    acme, bolt = text.format("Acme"), text.format("Bolt")
    assert not same_subject(one, acme, other, bolt)
    assert same_subject(one, acme, moved, acme)
    limited, company = text.format("Delta Pumps Ltd"), text.format("Norden Wind GmbH")
    same_name = passage("Service agreement", "contract.docx"), passage("Service agreement", "c.doc")
    assert not same_subject(same_name[0], limited, same_name[1], company)


def test_parties_are_sought_at_the_beginnings_of_words_only() -> None:
    def begins(text: str) -> list[int]:
        return [at for at in range(len(text)) if _PARTY.match(text, at)]

    assert begins("A" * 30 + " GmbH") == [0]
    assert begins("A" * 20_000 + " GmbH") == []
    # apostrophes begin words, each of which is read no further than a name is long
    assert max(begins("A'" * 10_000 + "B GmbH")) - min(begins("A'" * 10_000 + "B GmbH")) <= 51
    assert _PARTY.findall("between 'Acme Ltd' and L'Oréal SA") == ["Acme ", "L'Oréal "]


def test_how_another_version_is_introduced() -> None:
    told = {"title": "Travel Policy", "dated": "2024-03-01", "older": True}
    assert introduced(told) == "An older version, Travel Policy of 2024-03-01, says"
    assert introduced(told | {"older": False, "title": "Policy 2025", "dated": "2025"}) == (
        "A newer version, Policy 2025, says"
    )
    assert introduced(told | {"older": None}) == (
        "Two versions differ: Travel Policy of 2024-03-01 says"
    )


@pytest.mark.parametrize(
    ("title", "other"),
    [
        ("Parking rules, valid from 1 January 2025", "Parking rules, valid from 15 June 2025"),
        ("Reiseordnung vom 1. März 2024", "Reiseordnung vom 12. Mai 2025"),
        ("Travel policy of March 2024", "Travel policy of May 2024"),
        ("Policy, March 3rd, 2024", "Policy, March 4th, 2024"),
    ],
)
def test_a_date_in_words_is_a_date_and_no_number_of_a_document(title: str, other: str) -> None:
    mine, its = passage(title, "a.md"), passage(other, "b.md")
    assert same_work(mine, its)
    assert (age(mine, its), age(its, mine)) == ("newer", "older")


def test_a_number_beside_a_date_in_words_still_tells_documents_apart() -> None:
    mine, its = (passage(f"Order {n} of 1 May 2024", f"{n}.pdf") for n in (4711, 4712))
    assert not same_work(mine, its)
