"""Texts that say the same are equal, and texts that say something else are not, in every script."""

import unicodedata

import pytest

from asr.normalisation.normalise import normalise, plain
from eval.metrics.word_errors import count


def errors(language: str, reference: str, hypothesis: str) -> int:
    return count(normalise(reference, language), normalise(hypothesis, language), language).errors


@pytest.mark.parametrize(
    ("language", "word", "other"),
    [
        ("hi", "कि", "की"),  # that, of
        ("hi", "दिन", "दीन"),  # day, poor
        ("mr", "पाणी", "पाणि"),
        ("ne", "फूल", "फल"),  # flower, fruit
        ("bn", "কল", "কাল"),  # tap, time
        ("ta", "பல்", "பால்"),  # tooth, milk
        ("te", "కల", "కాల"),  # dream, time
        ("ml", "കല", "കാല"),
        ("kn", "ಹಲ", "ಹಾಲು"),
        ("gu", "કલ", "કાલ"),
        ("pa", "ਕਲ", "ਕਾਲ"),
        ("si", "කල", "කාල"),
        ("th", "ป่า", "ป้า"),  # forest, aunt
        ("lo", "ປາ", "ປ່າ"),  # fish, forest
        ("my", "စာ", "စား"),  # letter, eat
        ("km", "កា", "កី"),
        ("vi", "má", "mà"),  # cheek, but
        ("de", "schon", "schön"),
        ("yi", "אַ", "אָ"),
        ("ja", "かき", "がき"),
        ("ko", "불", "뿔"),  # fire, horn
        ("tr", "sık", "sik"),
        ("", "कि", "की"),
        ("", "ป่า", "ป้า"),
        ("", "má", "mà"),
    ],
)
def test_another_vowel_sign_tone_or_mark_is_an_error(language: str, word: str, other: str) -> None:
    """Marks are letters: the published normaliser's default drops them and cuts words at each one."""
    assert errors(language, word, other) > 0
    assert len(normalise(word, language or "hi").split()) == 1


SAME = [
    ("ar", "كَتَبَ الوَلَدُ", "كتب الولد"),  # points
    ("ar", "مـــرحبا", "مرحبا"),  # tatweel
    ("ar", "القُرْآنُ الكَرِيمُ", "القرآن الكريم"),
    ("fa", "می\u200cخواهم", "میخواهم"),  # zero-width non-joiner
    ("ur", "اُردُو", "اردو"),
    ("ar", "ٱلْوَلَدُ هٰذَا", "الولد هذا"),  # alef wasla, dagger alef
    ("fa", "كتاب قديمي", "کتاب قدیمی"),
    ("ro", "şi ţară", "și țară"),
    ("yi", "ייִדיש אױך", "ייִדיש אויך"),
    ("ml", "എൻ്റെ", "എന്റെ"),
    ("ta", "ஶ்ரீ", "ஸ்ரீ"),
    ("lo", "ທ\u0ec8\u0eb5", "ທ\u0eb5\u0ec8"),
    ("he", "שָׁלוֹם עוֹלָם", "שלום עולם"),
    ("he", "בְּרֵאשִׁית", "בראשית"),
    ("tr", "İstanbul IŞIK", "istanbul ışık"),
    ("az", "İSTİ ÇAY", "isti çay"),
    ("de", "İstanbul", "i\u0307stanbul"),
    ("en", "İstanbul", "istanbul"),
    ("hi", "क़लम", "क\u093cलम"),  # composed and decomposed nukta
    ("hi", "यह दिन है।", "यह दिन है"),  # danda
    ("hi", "क्\u200dया २५ दिन", "क्या 25 दिन"),
    ("mr", "दर्\u200dया", "दऱ्या"),
    ("ml", "അവന്\u200d", "അവൻ"),  # chillu
    ("bn", "হঠাত্\u200d", "হঠাৎ"),
    ("bn", "২৫ টাকা", "25 টাকা"),
    ("ar", "٢٥ كتابا", "25 كتابا"),
    ("fa", "۲۵ کتاب", "25 کتاب"),
    ("my", "၂၅", "25"),
    ("km", "២៥", "25"),
    ("lo", "ນ\u0ec9\u0eb3", "ນ\u0ecd\u0ec9\u0eb2"),
    ("th", "๒๕ บาท", "25บาท"),
    ("th", "น้ำ", "น\u0e4d\u0e49\u0e32"),  # sara am, its parts in the order of the keys
    ("th", "น้ำ", "น\u0e33\u0e49"),  # sara am, then tone
    ("th", "ทำ", "ท\u0e4d\u0e32"),
    ("th", "ที่", "ท\u0e48\u0e35"),  # tone before the vowel above
    ("th", "แม่", "เเม่"),
    ("ko", "한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8"),  # jamo
    ("ja", "ガッコウ", "ｶﾞｯｺｳ"),  # half width
    ("vi", "Việt Nam", "Vie\u0302\u0323t Nam"),
    ("uk", "п\u02bcять", "п'ять"),
    ("uk", "п’ять", "п'ять"),
    ("ru", "за\u0301мок", "замок"),  # stress
    ("hy", "Ինչո՞ւ", "ինչու"),
    ("fr", "L’homme n’est", "l'homme n'est"),
    ("en", "I don’t know, it’s John’s.", "I don't know, it's John's."),
    ("en", "rock ’n’ roll, she ’s won‘t", "rock 'n' roll, she 's won't"),
    ("en", "\ufeffhello world", "hello world"),
    ("en", "hel\u200blo\u2060 co\u00adoperate", "hello cooperate"),
    ("de", "\ufeffguten\u200b Tag\u200e", "guten Tag"),
    ("", "\ufeffIt’s Mr. Smith", "it is mister Smith"),
    ("", "He won’t pay twenty dollars (laughs out loud)", "he will not pay $20"),
    ("", "Das Gelände", "das gelände"),
    ("", "他 出生。", "他出生"),
]


@pytest.mark.parametrize(("language", "written", "other"), SAME)
def test_two_ways_to_write_the_same_words_are_equal(language: str, written: str, other: str) -> None:
    """Points, joiners, digits, apostrophes, orders of typing and capitals are writing, not speech."""
    assert errors(language, written, other) == 0
    assert errors(language, other, written) == 0


@pytest.mark.parametrize(
    ("language", "written"), sorted({(language, text) for language, *texts in SAME for text in texts})
)
def test_normal_forms_are_equal(language: str, written: str) -> None:
    """NFC and NFD show the same glyphs; labels come in both."""
    composed, decomposed = (unicodedata.normalize(form, written) for form in ("NFC", "NFD"))
    assert normalise(composed, language) == normalise(decomposed, language)
    assert normalise(normalise(written, language), language) == normalise(written, language)


def test_an_amount_of_one_keeps_its_unit() -> None:
    """Published, "one dollar" and "one" are equal."""
    assert errors("en", "It costs one dollar.", "It costs one.") == 1
    assert errors("en", "one percent of one pound", "1% of £1") == 0
    assert errors("en", "one dollar and fifty cents", "$1.50") == 0
    assert normalise("one of the ones", "en") == "1 of the ones"


def test_a_text_without_a_language_is_counted_by_character_where_no_spaces_are_written() -> None:
    """One wrong character of a sentence must not be a wrong sentence."""
    counts = count(normalise("他在北京出生", ""), normalise("他在南京出生", ""), "")
    assert (counts.errors, counts.reference_length) == (1, 6)


@pytest.mark.parametrize("word", ["की", "பால்", "น้ำ"])
def test_a_plain_word_keeps_its_last_vowel_sign(word: str) -> None:
    """A sign that changes between two partials is a change on the screen."""
    assert plain(f" {word}।") == word
