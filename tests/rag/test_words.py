"""The lexical index: words of many languages, found by other forms of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.stemming import segmented, stem, stems
from rag.words import WordIndex, Words


@pytest.fixture
def index(tmp_path: Path) -> Iterator[WordIndex]:
    index = WordIndex(tmp_path)
    yield index
    index.close()


# a sentence, its language, and a question that shares only other forms of its words
INFLECTED = [
    ("de", "Die Beschäftigten arbeiten an zwei Tagen im Büro.", "beschäftigter arbeite"),
    ("fr", "Les salariées bénéficient de congés payés.", "bénéficie payé"),
    ("es", "Los empleados solicitan sus vacaciones.", "empleada solicitado"),
    ("it", "I dipendenti richiedono le ferie.", "dipendente richiedere"),
    ("pt", "Os trabalhadores recebem férias anuais.", "trabalhador anual"),
    ("nl", "De werknemers ontvangen vakantiedagen.", "werknemer ontvangt"),
    ("ru", "Сотрудники получают ежегодные отпуска.", "сотрудника ежегодный"),
    ("ro", "Angajații primesc concedii anuale.", "angajat anual"),
    ("sv", "Anställda får semesterdagar varje månad.", "anställd månaden"),
    ("hu", "A dolgozók szabadságot kapnak.", "dolgozó kap"),
    ("pl", "Pracownicy otrzymują urlop wypoczynkowy.", "pracownikom wypoczynkowego"),
    ("uk", "Працівники отримують щорічну відпустку.", "працівникам щорічна"),
    ("cs", "Zaměstnanci dostávají dovolenou.", "zaměstnancům dovolené"),
    ("ar", "يحصل الموظفون على إجازات سنوية", "موظف إجازة"),
]
OTHER = Words("en", "Something in English about tea in the kitchen.", "en")


@pytest.mark.parametrize(("language", "text", "question"), INFLECTED)
def test_other_forms_of_a_word_are_found_in_its_language(
    index: WordIndex, language: str, text: str, question: str
) -> None:
    index.add([Words("wanted", text, language), OTHER])
    index.commit()
    assert [name for name, _ in index.query(question, 5)] == ["wanted"]
    assert index.missing([Words("wanted", text, language), OTHER]) == []


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("有給休暇の申請は人事部に提出してください。", "休暇の申請"),
        ("员工每年享有十五天带薪年假。", "带薪年假有几天"),
        ("직원은 매년 연차휴가를 받습니다.", "연차휴가"),
        ("พนักงานได้รับวันลาพักร้อนทุกปี", "วันลาพักร้อน"),
    ],
)
def test_scripts_without_spaces_are_found_by_a_part_of_a_sentence(
    index: WordIndex, text: str, question: str
) -> None:
    index.add([Words("wanted", text), OTHER])
    index.commit()
    assert [name for name, _ in index.query(question, 5)] == ["wanted"]


def test_a_language_that_is_not_there_changes_no_score(index: WordIndex) -> None:
    index.add([OTHER, Words("b", "Coffee and tea machines are cleaned.")])
    index.commit()
    before = index.query("cleaned tea", 5)
    index.add([Words("de", "Die Maschinen werden gereinigt.", "de")])
    index.commit()
    assert [name for name, _ in index.query("cleaned tea", 5)] == [name for name, _ in before]


def test_a_word_that_carries_nothing_in_its_language_has_no_stem() -> None:
    assert stem("die", "de") == ""
    assert stem("tage", "de") == stem("tagen", "de") == "tag"
    assert stem("die", "en") == "die"


def test_a_regional_tag_is_its_language(index: WordIndex) -> None:
    assert stems("Tagen", "de-AT") == stems("Tagen", "de") == ["tag"]
    index.add([Words("a", "An zwei Tagen der Woche.", "de-AT"), OTHER])
    index.commit()
    assert [name for name, _ in index.query("Tages", 5)] == ["a"]


def test_pairs_keep_what_stands_around_them() -> None:
    assert segmented("ab 東京都 12 京") == "ab  東京 京都  12  京 "


def test_an_index_of_an_older_form_is_refused(tmp_path: Path) -> None:
    import tantivy

    from rag.errors import StorageError

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True)
    tantivy.Index(builder.build(), path=str(tmp_path))
    with pytest.raises(StorageError):
        WordIndex(tmp_path)


def test_among_some_ids_the_scores_are_those_among_all(index: WordIndex) -> None:
    index.add(Words(f"c{n}", "leave " * n + "tea kitchen") for n in range(1, 6))
    index.commit()
    everything = dict(index.query("leave in the kitchen", 10))
    some = index.query("leave in the kitchen", 10, ["c2", "c4", "gone"])
    assert dict(some) == {name: everything[name] for name in ("c2", "c4")}
    assert [score for _, score in some] == sorted((score for _, score in some), reverse=True)
    assert index.query("leave", 10, []) == []


@pytest.mark.parametrize("few", [0, 1000])
def test_the_score_of_an_id_is_the_one_it_is_found_with_and_0_where_no_word_is_in_it(
    index: WordIndex, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    # whether ids are looked up one by one or the index's are gone through
    monkeypatch.setattr("rag.words._FEW", few)
    index.add(Words(f"c{n}", "leave " * n + "tea kitchen") for n in range(1, 6))
    index.add([Words("de", "Die Küche ist im Urlaub geschlossen.", "de"), Words("other", "Coffee")])
    index.commit()
    for text in ("leave in the kitchen", "Küchen"):
        everything = dict(index.query(text, 10))
        ids = ["c4", "c2", "de", "other", "gone"]
        assert index.scores(text, ids) == {name: everything.get(name, 0.0) for name in ids}
        assert any(index.scores(text, ids).values())
    assert index.scores("leave", []) == {}
    assert index.scores("?", ["c1"]) == {"c1": 0.0}


def test_the_words_of_a_question_that_a_chunk_holds_in_one_form_or_another(
    index: WordIndex,
) -> None:
    index.add(
        [
            Words("a", "The policies of 2024"),
            Words("b", "Many a POLICY, and some tea"),
            Words("c", "When one does mix the contrast agent"),
        ]
    )
    index.commit()
    ids = ["a", "b", "c", "gone"]
    asked = "When does the policy on tea and the contract end?"
    english = {"a": {"polici"}, "b": {"polici", "tea"}, "c": set(), "gone": set()}
    assert index.held(asked, ids) == english
    # a chunk in another language changes nothing for those in English
    index.add(
        [
            Words("de", "Die Häuser sind groß.", "de"),
            Words("cs", "Smlouva platí od května.", "cs"),
        ]
    )
    index.commit()
    assert index.held(asked, ids) == english
    assert index.held("Welches Haus?", ["de", "a"]) == {"de": {"haus"}, "a": set()}
    assert index.held("", ["a"]) == {"a": set()}
    assert index.held(asked, []) == {}
