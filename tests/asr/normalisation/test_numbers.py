"""The same number is the same units: in words, in digits, with any spaces, in every language with a library."""

import random
from collections.abc import Callable

import pytest

from asr.normalisation.normalise import normalise, normaliser_signature
from eval.metrics.word_errors import align_texts, count, counts_of, total


def errors(language: str, reference: str, hypothesis: str) -> int:
    return count(normalise(reference, language), normalise(hypothesis, language), language).errors


ENGLISH = [
    ("one two three", "1 2 3", "123", "1, 2, 3."),
    ("five five five one two one two", "555-1212", "555 1212", "5551212"),
    ("zero zero seven", "007", "0 0 7", "double oh seven"),
    ("four oh five", "405", "4 0 5"),
    ("nine thirty", "9:30", "930"),
    ("a hundred and twenty", "one hundred twenty", "120"),
    ("twenty five thousand", "25,000", "25000"),
    ("one point five million", "1,500,000", "1.5 million"),
    ("two and a half", "2.5", "2½", "2 and a half"),
    ("twenty first", "21st"),
    ("the nineteen sixties", "the 1960s", "the 1960's"),
    ("two pounds fifty", "£2.50", "two pounds and fifty pence".replace("pence", "cents")),
    ("twenty million dollars", "$20 million", "$ 20,000,000"),
    ("fifty percent", "50%", "50 %"),
    ("minus five degrees", "-5°"),
    ("two plus two", "2 + 2"),
]


@pytest.mark.parametrize("forms", ENGLISH)
def test_an_english_number_is_the_same_however_it_is_written(forms: tuple[str, ...]) -> None:
    """Each form against each other, in both directions; normalising twice changes nothing."""
    assert len({normalise(form, "en") for form in forms}) == 1
    assert normalise(normalise(forms[0], "en"), "en") == normalise(forms[0], "en")


OTHERS = [
    ("de", "fünfundzwanzig", "fünf und zwanzig"),
    ("fr", "vingt-cinq", "vingt cinq"),
    ("es", "veinticinco"),
    ("pt", "vinte e cinco"),
    ("it", "venticinque"),
    ("nl", "vijfentwintig"),
    ("da", "femogtyve"),
    ("ru", "двадцать пять"),
    ("uk", "двадцять п’ять"),
    ("pl", "dwadzieścia pięć"),
    ("tr", "yirmi beş", "yirmibeş"),
    ("vi", "hai mươi lăm"),
    ("id", "dua puluh lima"),
    ("hu", "huszonöt"),
    ("ar", "خمسة وعشرون", "٢٥"),
    ("he", "עשרים וחמש"),
    ("fa", "بیست و پنج", "۲۵"),
    ("hi", "पच्चीस", "२५"),
    ("bn", "পঁচিশ", "২৫"),
    ("ur", "پچیس"),
    ("ta", "இருபத்து ஐந்து"),
    ("te", "ఇరవై ఐదు"),
    ("th", "ยี่สิบห้า", "๒๕"),
    ("ko", "이십오", "이십 오"),
    ("ja", "二十五", "二五", "２５"),
    ("zh", "二十五", "二五"),
]


@pytest.mark.parametrize(("language", "forms"), [(language, forms) for language, *forms in OTHERS])
def test_number_words_are_digits_in_other_languages(language: str, forms: list[str]) -> None:
    """25 in words, in the language's digits, and in digits apart."""
    assert {errors(language, form, "25") for form in [*forms, "2 5"]} == {0}
    assert errors(language, forms[0], "24") == 1


def test_large_numbers_and_dropped_ones_of_thousand() -> None:
    """Years are the commonest large numbers, and "one thousand" is often said without its "one"."""
    assert errors("ru", "тысяча девятьсот восемьдесят четыре", "1984") == 0
    assert errors("de", "neunzehnhundertvierundachtzig", "1984") == 0
    assert errors("de", "1.000 €", "eintausend Euro") == 0
    assert errors("fr", "mille neuf cent quatre-vingt-quatre", "1984") == 0
    assert errors("zh", "兩萬五千", "25000") == 0
    assert errors("ja", "二十五万", "250000") == 0


WRITTEN_ELSEWHERE = [
    ("de", "drei Komma fünf", "3,5", "3.5"),
    ("de", "neun Uhr dreißig", "9 Uhr 30", "9:30 Uhr", "9.30 Uhr"),
    ("de", "drei bis vier Jahre", "3-4 Jahre", "3–4 Jahre"),
    ("de", "eintausendzweihundert Euro", "1.200 €"),
    ("de", "zwölf Komma sieben fünf Prozent", "12,75 %"),
    ("de", "eins zwei null", "1 2 0", "120"),
    ("fr", "trois virgule cinq", "3,5"),
    ("fr", "dix à quinze", "10-15"),
    ("fr", "mille deux cents", "1\u202f200", "1200"),
    ("fr", "neuf heures trente", "9h30", "9 h 30"),
    ("fr", "zéro", "0"),
    ("es", "tres coma cinco", "3,5"),
    ("es", "cero", "0"),
    ("pt", "três vírgula cinco", "3,5"),
    ("it", "tre virgola cinque", "3,5"),
    ("nl", "drie komma vijf", "3,5"),
    ("nl", "één", "1"),
    ("da", "tre komma fem", "3,5"),
    ("sv", "tre komma fem procent", "3,5 %"),
    ("pl", "trzy przecinek pięć", "3,5"),
    ("ro", "trei virgulă cinci", "3,5"),
    ("tr", "üç virgül beş", "3,5"),
    ("vi", "ba phẩy năm", "3,5"),
    ("vi", "ba đến bốn", "3-4"),
    ("zh", "三点五", "3.5"),
    ("zh", "百分之五十", "50%"),
    ("zh", "三到四", "3-4"),
    ("ja", "三点五", "3.5"),
    ("ko", "삼 점 오", "3.5"),
    ("th", "สามจุดห้า", "3.5"),
    ("he", "שלוש נקודה חמש", "3.5"),
    ("hi", "तीन दशमलव पाँच प्रतिशत", "3.5%"),
    ("ru", "десять процентов", "10 %"),
    ("en", "(800) 555-1212", "eight hundred five five five one two one two"),
]


@pytest.mark.parametrize(("language", "forms"), [(language, forms) for language, *forms in WRITTEN_ELSEWHERE])
def test_decimals_ranges_and_signs_are_as_they_are_said(language: str, forms: list[str]) -> None:
    """Each form against each other."""
    assert {counts_of(align_texts(a, b, language)).errors for a in forms for b in forms} == {0}


@pytest.mark.parametrize("language", ["de", "fr", "es", "pt", "it", "nl", "da", "sv", "pl", "ru", "tr", "vi", "id"])
def test_a_decimal_comma_is_no_silence(language: str) -> None:
    """3,5 and 35 are two numbers; 1.200 and 1200 are one."""
    assert errors(language, "3,5", "35") > 0
    assert errors(language, "1.200", "1200") == 0


@pytest.mark.parametrize("language", ["zh", "ja", "ko", "th", "he", "hi", "bn", "en"])
def test_a_decimal_point_is_no_silence(language: str) -> None:
    """3.5 and 35 are two numbers; 1,200 and 1200 are one."""
    assert errors(language, "3.5", "35") > 0
    assert errors(language, "1,200", "1200") == 0


def test_words_that_look_like_numbers_stay_words() -> None:
    """Articles, exclamations and names are no numbers."""
    assert normalise("Ein Haus, eine Frau", "de") == "ein haus eine frau"
    assert normalise("Oh my, O'Brien!", "en") == "oh my obrien"
    assert normalise("hundreds of millions", "en") == "hundreds of millions"
    assert normalise("千葉県", "ja") == "千葉県"
    assert errors("fr", "un homme", "une homme") == 1


@pytest.mark.parametrize("written", [" ".join, "".join])
def test_the_error_rate_of_digit_strings_is_that_of_their_digits(written: Callable[[list[str]], str]) -> None:
    """Seven digits, 6 % of them wrong: WER was 605 %, as written digits stayed apart and spelled ones did not."""
    random.seed(16)
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    counts, wrong = [], 0
    for _ in range(200):
        said = random.choices(range(10), k=7)
        recognised = [(d + 1) % 10 if random.random() < 0.06 else d for d in said]
        wrong += sum(a != b for a, b in zip(said, recognised, strict=True))
        reference, hypothesis = " ".join(names[d] for d in said), written([str(d) for d in recognised])
        counts.append(count(normalise(reference, "en"), normalise(hypothesis, "en"), "en"))
    assert total(counts).errors <= wrong
    assert total(counts).errors > 0.9 * wrong  # two neighbours may be cheaper as an insertion and a deletion
    assert total(counts).reference_length == 1400


def test_the_signature_names_the_libraries_that_read_numbers() -> None:
    """A score without the versions of its normaliser cannot be compared."""
    assert "text2num 3" in normaliser_signature(("de",))
    assert "num2words 0" in normaliser_signature(("ru",))
    assert "indic-numtowords 1" in normaliser_signature(("hi",))
    assert "num2words" not in normaliser_signature(("en",))
