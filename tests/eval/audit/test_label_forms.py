"""Labels with known inconsistencies, and consistent ones."""

from hypothesis import given
from hypothesis import strategies as st

from eval.audit.label_forms import (
    bare,
    casing_of_words,
    casing_styles,
    end_punctuation,
    fillers,
    hyphens,
    label_findings,
    spaces,
    spellings,
    symbols,
    tags,
    tone_marks,
    typography,
    without_text,
)
from tests.eval.labelled import forms, labelled, notes


def test_labels_in_one_style_have_nothing_to_find() -> None:
    """Sentences of different words, all with a capital, a full stop and plain characters."""
    assert (
        label_findings(labelled("The first one is here.", "Another came later.", "Nobody asked why it rained.")) == []
    )


@given(st.lists(st.text(max_size=30), max_size=5))
def test_trouble_is_found_whatever_the_other_labels_are(texts: list[str]) -> None:
    """Arbitrary labels neither crash a check nor hide the filler, the tag and the double space of the last one."""
    found = {finding.kind: finding for finding in label_findings(labelled(*texts, "um  [noise]"))}
    assert {"fillers", "tags", "spaces"} <= found.keys()
    assert all(finding.count >= len(finding.examples) + len(finding.groups) > 0 for finding in found.values())


def test_casings_of_whole_labels_are_counted() -> None:
    """One word alone, and scripts without case, have none."""
    found = casing_styles(labelled("ALL OF IT", "all of it", "all that", "All of it", "WORD", "你好 世界"))
    assert forms(found) == [[("all small letters", 2), ("ALL CAPITALS", 1), ("Mixed case", 1)]]
    assert found[0].count == 2
    assert found[0].groups[0].rule == "all small letters in all labels"


def test_punctuation_in_some_labels_and_not_in_others_is_found() -> None:
    """A quotation mark after the full stop is still an ending; labels of one or two words are ignored."""
    found = end_punctuation(labelled("One two three.", "“One two three.”", "one two three", "stop"))
    assert forms(found) == [[("with", 2), ("without", 1)]]


def test_a_word_in_several_casings_is_found_where_no_sentence_begins() -> None:
    """Not as the first word, after a full stop or a quotation mark, or in a label all in capitals."""
    found = casing_of_words(
        labelled(
            "We use the Internet.", "Use the internet now", "Internet. Internet", "ON THE INTERNET", 'So "Internet'
        )
    )
    assert forms(found) == [[("Internet", 1), ("internet", 1)]]
    assert casing_of_words(labelled("Wir Essen das", "Das essen wir", language="de")) == []


def test_hyphens_are_found_closed_open_and_written() -> None:
    """What is nowhere hyphenated is not looked for."""
    found = hyphens(labelled("Send an e-mail.", "the e mail came", "an email and an email", "every day everyday"))
    assert forms(found) == [[("e mail", 1), ("e-mail", 1), ("email", 1)]]
    assert found[0].groups[0].rule.startswith("choose one")


def test_spellings_that_the_english_normaliser_makes_one_are_found() -> None:
    """In English only."""
    texts = ("the colour red", "a color and a color", "Mr. Brown", "mister Brown")
    assert forms(spellings(labelled(*texts))) == [[("color", 1), ("colour", 1)], [("mister", 1), ("mr", 1)]]
    assert spellings(labelled(*texts, language="de")) == []


def test_the_place_of_a_vietnamese_tone_mark_is_found() -> None:
    """Old and new style; another tone is another word."""
    found = tone_marks(labelled("hoà bình", "hòa nhạc", "hòa ca", "hoa hỏa", language="vi"))
    assert forms(found) == [[("hòa", 2), ("hoà", 1)]]


def test_several_characters_for_one_mark_are_found() -> None:
    """Opening and closing quotation marks are one style."""
    assert forms(typography(labelled("it's", "it’s", "don't"))) == [[("'", 2), ("’", 1)]]
    assert typography(labelled("“so”", "“no”")) == []
    assert len(forms(typography(labelled("“so”", '"no"')))[0]) == 3


def test_symbols_that_other_labels_write_as_words_are_found() -> None:
    """In the language of the label."""
    found = symbols(labelled("50 % of it", "50 percent of it", "ten per cent of it", "a percentage"))
    assert forms(found) == [[("%", 1), ("per cent", 1), ("percent", 1)]]
    assert symbols(labelled("50 % of it", "half of it")) == []


def test_sounds_of_hesitation_are_listed() -> None:
    """By language: "um" is a word in German and Portuguese."""
    assert notes(fillers(labelled("Um, well, uh, yes", "umbrella"))) == [("u0", "Um, uh")]
    assert fillers(labelled("um zwei Uhr", language="de")) == []


def test_tags_are_listed() -> None:
    """In any brackets, and between asterisks."""
    found = notes(tags(labelled("[noise] yes <unk>", "(laughs) no *cough*", "a < b")))
    assert found == [("u0", "[noise]"), ("u0", "<unk>"), ("u1", "(laughs)"), ("u1", "*cough*")]


def test_odd_spaces_and_empty_labels_are_listed() -> None:
    """Double, leading, trailing; a label of spaces is an empty one."""
    assert [name for name, _ in notes(spaces(labelled("a  b", " a", "a b", "a\tb")))] == ["u0", "u1", "u3"]
    assert [name for name, _ in notes(without_text(labelled("a", "", " ")))] == ["u1", "u2"]


def test_a_bare_word_keeps_its_case_and_what_stands_inside() -> None:
    """Outer punctuation goes."""
    assert [bare(word) for word in ("“Don't!”", "e-mail,", "...", "MLOps")] == ["Don't", "e-mail", "", "MLOps"]
