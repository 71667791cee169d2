"""Which sentences a passage supports, and that a changed fact is never supported."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.citing import passage_url
from rag.evidence import TermWeights, find_quote, is_cut, passage_sentences
from rag.qualifiers import negations
from rag.records import Passage
from rag.verifying import Verifier
from rag.words import WordIndex, Words

TEXT = (
    "The managing director is Niamh Carrow. Up to five unused days of leave may be carried over "
    "until 31 March.\nVisitors must not enter the workshop without a guide. "
    "A hotel night in Oslo may cost 1,800 kroner."
)
LONG = (
    "all travel requests above the limit within three working days after the written request of "
    "the department reached the finance office of the company"
)
PASSAGE = Passage("c1", "d1", "Handbook", "handbook.pdf", 1, 100, 400, TEXT, 1.0)


@pytest.fixture
def verifier(tmp_path: Path) -> Verifier:
    words = WordIndex(tmp_path)
    words.add([Words("c1", TEXT)])
    words.add(Words(f"x{n}", "Something about other things.") for n in range(20))
    words.commit()
    return Verifier(TermWeights(words))


@pytest.mark.parametrize(
    ("sentence", "support"),
    [
        ("Up to five unused days of leave may be carried over until 31 March.", "quoted"),
        ("up to five unused  days of leave may be carried over until 31 March", "quoted"),
        ("You may carry over up to five unused days of leave until 31 March.", "supported"),
        ("5 unused days of leave may be carried over until 31 March.", "supported"),
        ("A night in a hotel in Oslo may cost 1800 kroner.", "supported"),
        ("You may carry over up to six unused days of leave until 31 March.", "unsupported"),
        ("Up to five unused days of leave may be carried over until 30 April.", "unsupported"),
        ("Unused days of leave may not be carried over until 31 March, up to five.", "unsupported"),
        ("Visitors must enter the workshop without any guide of their own.", "unsupported"),
        ("The managing director is Bridget Carrow.", "unsupported"),
        ("A hotel night in Oslo may earn 1,800 kroner.", "unsupported"),
        ("The CEO's salary is 200,000 EUR.", "unsupported"),
        ("Tea is served in the kitchen at noon.", "unsupported"),
        ("Yes.", "unsupported"),
        ("", "unsupported"),
    ],
)
def test_support(verifier: Verifier, sentence: str, support: str) -> None:
    verdict = verifier.verify(sentence, [PASSAGE])
    assert verdict.support == support
    assert (verdict.evidence is None) == (support == "unsupported")


FEES = "The fee is 30 euros for adults and 20 euros for children."
REVENUE = "Revenue was 5 million in 2023 and 7 million in 2024."
CLASSES = "Staff must not travel first class but may travel second class."

# what a small change of a sentence's words must not be able to do: evidence, sentence
WRONG = [
    # a part of a number, or of a word
    ("The hotel limit in Rome is 120 euros per night.", "The hotel limit in Rome is 12."),
    ("The price is 1.5 million.", "The price is 1."),
    ("25 days of leave are granted.", "5 days of leave are granted."),
    ("The value is often high.", "Ten."),
    # what stands before a part of a sentence
    ("Under no circumstances visitors may enter the hall.", "Visitors may enter the hall."),
    ("All departments except Sales staff get a bonus.", "Sales staff get a bonus."),
    ("Nobody from the sales team may enter the hall.", "The sales team may enter the hall."),
    # negations
    ("Staff without a badge may not enter the hall.", "Staff without a badge may enter the hall."),
    ("Under rule No. 3, staff may not park here.", "Under rule No. 3, staff may park here."),
    ("Form No. 7 must be filed by visitors on arrival.", "No visitors must file form 7."),
    ("The tenant must pay unless heating fails.", "The tenant must pay when heating fails."),
    ("Niemals haftet der Verein für Schäden.", "Der Verein haftet für Schäden."),
    # two sentences, or two clauses, as one
    ("Staff may claim meals. This does not apply to contractors.", "Contractors may claim meals."),
    ("Trains cost at most 20 euros. Flights are 300 euros.", "Trains cost at most 300 euros."),
    ("Managers get 30 days of leave and staff get 25 days.", "Staff get 30 days of leave."),
    ("Hotel limits: Oslo 180 euros, Rome 120 euros.", "The hotel limits: Oslo 120 euros."),
    ("Tom Hill reports to Anna Berg.", "It says Anna Berg reports to Tom Hill."),
    # words that are names as well
    ("Leave may be taken in March.", "Leave must be taken in May."),
    ("Employees in group B receive a bonus of 50.", "Employees in group A receive a bonus of 50."),
    ("Ask us before the staff pay the travel costs.", "The US staff pay the travel costs."),
    # numbers that look alike
    ("The dose is 0.050 mg a day for adults.", "The dose is 50 mg a day for adults."),
    ("The server needs Python 3.10 at least.", "The server needs Python 3.1 at least."),
    ("The store is kept at -18 degrees.", "The store is kept at 18 degrees."),
    ("The deposit is €500 for a key.", "The deposit is $500 for a key."),
    ("The discount is 5 euros for members.", "The discount is 5% for members."),
    ("The contract ends on 03/04/2026.", "The contract ends on 04/03/2026."),
    ("The fund holds 5 million euros.", "The fund holds 5 billion euros."),
    # one word of a long sentence
    (f"Schmidt often approves {LONG}.", f"Schmidt rarely approves {LONG}."),
    (f"Schmidt approves {LONG}.", f"Schmidt approved {LONG} late."),
    # what may be, must be, or is
    ("Visitors may leave the hall at noon.", "Visitors must leave the hall at noon."),
    ("The fee can rise in the second year.", "The fee should rise in the second year."),
    ("Guests may bring a dog and must pay a fee.", "Guests must bring a dog and pay a fee."),
    ("The fee may rise in the second year.", "The fee rise in the second year."),
    # who did it to whom
    ("The deposit is paid to the landlord in June.", "The deposit is paid by the landlord."),
    ("Tom Hill hired Anna Berg for the office.", "Tom Hill was hired by Anna Berg."),
    ("Tom Hill was hired by Anna Berg last May.", "Tom Hill hired Anna Berg."),
    ("The train from Rome runs daily to Bari.", "The train to Rome runs daily from Bari."),
    # another code
    ("Valve S-05 has one seal of rubber.", "Valve S-01 has one seal of rubber."),
    # a condition, or a bound
    ("Staff may work from home if the manager agrees.", "Staff may work from home."),
    ("Staff may work from home on Mondays.", "Staff may work from home if on Mondays."),
    ("The trip takes at least 5 hours by train.", "The trip takes up to 5 hours by train."),
    ("The trip takes 5 hours by train.", "The trip takes no more than 5 hours by train."),
    # a word more often than it is there, in the place of another
    ("Lower prices led to higher wages.", "Higher prices led to higher wages."),
    ("The pipe runs from north to south.", "The pipe runs from north to north."),
    ("Weber reports to Schmidt.", "Schmidt reports to Weber."),
    ("Tom met Ann before Tom left for Rome.", "Tom met Ann before Ann left for Rome."),
    # the other amount's unit
    ("At least 4 weeks are granted, most give 28 days.", "At least 4 weeks, most give 28 weeks."),
    # a neighbour's negation, name or number
    ("No cats are fed here. Dogs must be fed at noon.", "Dogs must not be fed at noon."),
    ("Ann Berg left. The law is an extension of Galileo's.", "The law is an extension of Berg's."),
    # the title's in the place of its own
    ("By 1977 the cars had reflected the crisis.", "By 2025 the cars had reflected the crisis."),
    ("Most draft laws are bills of the ministers.", "Limits draft laws are bills of ministers."),
    ("Rome pays more than anyone for hotels.", "Kestrel pays more than anyone for hotels."),
    # another column or row of a table, or a row that is none
    ("Article | Price | Weight\nKP-150 | 3190 | 12", "The price of KP-150 is 12."),
    ("Article | Price | Weight\nKP-150 | 3190 | 12", "The weight of KP-150 is 3190."),
    ("Task | Who | Until\nRoof | Ann | May\nGate | Tom | June", "The who of Roof is May."),
    ("Article | Price\nKP-15 | 90\nKP-16 | 80", "The price of KP-16 is 90."),
    ("Article | Price | Weight\nKP-150 | 3190 | 12", "KP-150 | 12 | 3190"),
    # a name that opens a long sentence, or follows a title
    (f"Schmidt approves {LONG}.", f"Weber approves {LONG}."),
    (f"It approves {LONG} by Dr. Schmidt.", f"It approves {LONG} by Dr. Weber."),
    # two numbers, or what they are of, exchanged
    (FEES, "The fee is 20 euros for adults and 30 euros for children."),
    (FEES, "The fee is 30 euros for children and 20 euros for adults."),
    (
        "Managers get 30 days and staff get 25 days.",
        "Managers get 25 days and staff get 30 days.",
    ),
    (
        "The office opens at 9:00 and closes at 17:00.",
        "The office opens at 17:00 and closes at 9:00.",
    ),
    ("The price rose from 30 euros to 50 euros.", "The price rose from 50 euros to 30 euros."),
    ("The price rose from ten euros to 50 euros.", "The price rose from 50 euros to ten euros."),
    (REVENUE, "Revenue was 7 million in 2023 and 5 million in 2024."),
    (REVENUE, "Revenue was 5 million in 2024 and 7 million in 2023."),
    (
        "Der Urlaub beträgt 30 Tage für Führungskräfte und 25 Tage für Angestellte.",
        "Der Urlaub beträgt 25 Tage für Führungskräfte und 30 Tage für Angestellte.",
    ),
    (
        "Das Büro öffnet um 9 Uhr und schließt um 17 Uhr.",
        "Das Büro öffnet um 17 Uhr und schließt um 9 Uhr.",
    ),
    # what narrows a sentence, or takes it back
    ("All employees but interns receive a bonus.", "Interns receive a bonus."),
    ("All employees but interns receive a bonus.", "All employees receive a bonus."),
    ("All employees but interns receive a bonus.", "All employees and interns receive a bonus."),
    ("All employees receive a bonus.", "All employees but employees receive a bonus."),
    ("Staff receive a bonus only after two years.", "Staff receive a bonus after two years."),
    ("Staff receive a bonus after two years.", "Staff receive a bonus only after two years."),
    ("Only managers may travel in first class.", "Managers may travel only in first class."),
    ("Staff rarely receive a bonus in December.", "Staff receive a bonus in December."),
    ("Staff hardly receive a bonus in December.", "Staff receive a bonus in December."),
    ("It is false that staff receive a yearly bonus.", "Staff receive a yearly bonus."),
    ("Until 2020 staff received a bonus in May.", "Staff received a bonus in May."),
    ("Until 2020, staff received a bonus in May.", "Staff received a bonus in May."),
    ("Gäste zahlen nur im Juni eine Gebühr.", "Gäste zahlen im Juni eine Gebühr."),
    ("Gäste zahlen selten eine Gebühr.", "Gäste zahlen eine Gebühr."),
    ("Gäste zahlten bis 2020 eine Gebühr.", "Gäste zahlten eine Gebühr."),
    ("Gäste zahlen kaum eine Gebühr.", "Gäste zahlen eine Gebühr."),
    ("Alle Gäste außer Kindern zahlen eine Gebühr.", "Alle Gäste zahlen eine Gebühr."),
    ("Task | Paid to | Fee\nRoof | only members | 9\nGate | all | 8", "Roof: paid to members."),
    # a negation before another word
    (CLASSES, "Staff must travel first class but may not travel second class."),
    (CLASSES, "Staff may travel first class but must not travel second class."),
    ("The fee is not refunded but reduced.", "The fee is refunded but not reduced."),
    ("Guests don't pay a fee but leave a deposit.", "Guests pay a fee but don't leave a deposit."),
    # what is more, and what comes first
    (
        "Trains are cheaper than planes on this route.",
        "Planes are cheaper than trains on this route.",
    ),
    (
        "Invoices are paid before goods are delivered.",
        "Goods are delivered before invoices are paid.",
    ),
    ("Managers report to directors monthly.", "Directors report to managers monthly."),
    ("Invoices are paid after the delivery.", "The delivery after invoices are paid."),
]

RIGHT = [
    ("The limit in Rome is 120 euros per night.", "The limit in Rome is 120 euros."),
    ("The limit is 1,200 euros per night.", "The limit is 1200 euros per night."),
    ("Berlin | 150\nOslo | 180", "The limit in Oslo is 180 euros."),
    ("You may not smoke in the yard.", "In the yard you may not smoke."),
    ("Staff get 30 days of leave, and after 10 years 33 days.", "Staff get 30 days of leave."),
    (
        "Since 2019, staff may carry over 10 days of leave.",
        "Staff may carry over 10 days of leave.",
    ),
    ("Dr. Weber approves the request.", "The request Dr. Weber approves."),
    ("The fund holds 1.5 million euros.", "The fund holds 1,500,000 euros."),
    ("Visitors must leave the hall at noon.", "At noon visitors must leave the hall."),
    ("The trip takes at least 5 hours by train.", "By train the trip takes at least 5 hours."),
    ("In June the deposit is paid by Tom.", "The deposit is paid by Tom in June."),
    ("The limit in Rome is 500 EUR a night.", "The limit in Rome is EUR 500 a night."),
    ("Sixty members form the council.", "60 members form the council."),
    ("The council has 60 members.", "The council has sixty members."),
    ("Article | Price | Weight\nKP-150 | 3190 | 12", "The price of KP-150 is 3190."),
    ("Article | Price | Weight\nKP-150 | 3190 | 12", "The weight of KP-150 is 12."),
    ("Task | Who | Until\nRoof | Ann | May\nGate | Tom | June", "The task of the Roof is for Ann."),
    # numbers in another order with their words
    ("In 2023 revenue was 5 million.", "Revenue was 5 million in 2023."),
    ("In 2023, revenue was 5 million for 3 shops.", "Revenue was 5 million for 3 shops in 2023."),
    (
        "Managers get 30 days and staff get 25 days.",
        "Staff get 25 days and managers get 30 days.",
    ),
    (FEES, "The fee for adults is 30 euros."),
    ("From 2 it grew to twenty-eight people.", "It grew to 28 people from 2."),
    (REVENUE, "In 2023 the revenue was 5 million."),
    ("All staff (only in Rome) get 30 days.", "All staff get 30 days."),
    ("A guest does not pay the fee at night.", "At night a guest does not pay the fee."),
    ("In March the limit was 120 euros.", "In 2025 the limit in March was 120 euros."),
]


def _passage(text: str) -> Passage:
    title = "Kestrel limits in euros 2025"
    return Passage("c3", "d1", title, "rules.pdf", 1, 0, len(text), text, 1.0)


@pytest.mark.parametrize(("evidence", "sentence"), WRONG)
def test_a_changed_fact_is_never_supported(
    verifier: Verifier, evidence: str, sentence: str
) -> None:
    assert verifier.verify(sentence, [_passage(evidence)]).support == "unsupported"


@pytest.mark.parametrize(("evidence", "sentence"), RIGHT)
def test_the_same_fact_in_other_words_is(verifier: Verifier, evidence: str, sentence: str) -> None:
    assert verifier.verify(sentence, [_passage(evidence)]).support == "supported"


def test_a_part_of_a_sentence_is_cited_with_the_whole(verifier: Verifier) -> None:
    text = "Since 2019, staff may carry over up to ten unused days of leave. Ask Ada."
    verdict = verifier.verify("staff may carry over up to ten unused days", [_passage(text)])
    assert verdict.support == "supported"
    assert verdict.evidence is not None
    assert verdict.evidence.text == text.partition(" Ask")[0]


def test_a_passage_that_contradicts_hides_none_that_supports(verifier: Verifier) -> None:
    wrong = "A night in a hotel in Rome costs 20 euros."
    right = "A hotel night in Rome costs 25 euros."
    sentence = "In Rome a night in a hotel costs 25 euros."
    verdict = verifier.verify(sentence, [_passage(wrong), _passage(right)])
    assert verdict.support == "supported"
    assert verdict.evidence is not None
    assert verdict.evidence.text == right


def test_a_very_long_sentence_is_evidence_to_its_end_and_never_cut_within_a_word() -> None:
    text = "It is agreed that " + "the pump of the basin is checked by two people, " * 30
    text += "and costs 120000 euros."
    parts = passage_sentences(_passage(text))
    assert len(parts) > 1
    assert "".join(part.text for part in parts).replace(" ", "") == text.replace(" ", "")
    assert all(part.text.endswith((",", ".")) for part in parts)
    assert is_cut(parts[0])
    assert not is_cut(parts[-1])


def test_the_evidence_is_the_sentence_that_supports(verifier: Verifier) -> None:
    verdict = verifier.verify("You may carry over five unused leave days to 31 March.", [PASSAGE])
    assert verdict.evidence is not None
    assert verdict.evidence.text == (
        "Up to five unused days of leave may be carried over until 31 March."
    )


def test_a_quote_is_found_across_line_breaks_and_never_as_a_pattern() -> None:
    found = find_quote(PASSAGE, "31 March. Visitors must")
    assert found is not None
    assert found.text == "31 March.\nVisitors must"
    assert find_quote(PASSAGE, "1,80") is None
    assert find_quote(PASSAGE, "31.March") is None
    assert find_quote(PASSAGE, "") is None


def test_a_citation_opens_at_its_place() -> None:
    assert passage_url("doc_1", 2, 3, 4) == "/documents/doc_1?page=2&start=3&end=4#passage"


def test_two_rows_of_a_table_do_not_support_a_sentence_together(verifier: Verifier) -> None:
    table = "Managing director Niamh Carrow 100\nHead of Finance Tomasz Wierzbin 120"
    passage = Passage("c2", "d1", "Staff", "staff.pdf", 1, 0, len(table), table, 1.0)
    wrong = "The managing director is Niamh Carrow, the head of finance."
    assert verifier.verify(wrong, [passage]).support == "unsupported"
    right = "The managing director is Niamh Carrow."
    assert verifier.verify(right, [passage]).support == "supported"


@pytest.mark.parametrize(
    "text",
    ["do not", "don't", "never", "nicht", "keine", "ne … pas", "nobody", "unless", "non", "geen"],
)
def test_negations(text: str) -> None:
    assert negations(text) == 1
    assert negations("a notable nothingness under rule No. 3 and no 4") == 0
    assert negations(f"without a badge {text}") == 2
