"""What is said alike in English is the same words, however it is written; other numbers stay other numbers."""

import pytest
from num2words import num2words

from asr.normalisation.english_writing import ordinal
from asr.normalisation.normalise import normalise
from asr.normalisation.ranges import ranges_as_words

ALIKE = [
    # times of day
    ("quarter past nine", "a quarter past nine", "9:15", "09:15", "nine fifteen"),
    ("half past four", "4:30", "four thirty"),
    ("quarter to five", "a quarter to five", "4:45", "four forty five"),
    ("quarter past twelve", "12:15"),
    ("quarter to one", "12:45"),
    ("ten past six", "ten minutes past six", "6:10", "six ten"),
    ("five past nine", "9:05", "nine oh five"),
    ("twenty to eight", "twenty minutes to eight", "7:40"),
    ("twenty five to one", "twenty-five to one", "12:35"),
    ("five to twelve pm", "11:55 pm", "five minutes to twelve p.m."),
    ("at ten to eleven", "at 10:50"),
    ("nine o'clock", "9 o'clock", "9:00"),
    ("nine am", "9 a.m.", "9am", "nine a m", "9:00 am", "9:00am"),
    ("half past nine pm", "9:30 p.m.", "9:30pm"),
    ("eighteen hundred hours", "18:00 hours", "1800 hours"),
    # amounts
    ("a dozen eggs", "12 eggs", "twelve eggs"),
    ("two dozen", "24"),
    ("half a dozen", "half dozen", "six", "6"),
    ("half a million", "500,000", "0.5 million", "five hundred thousand"),
    ("a million and a half", "1.5 million"),
    ("a quarter of a million", "250,000"),
    ("one million dollars", "$1 million", "$1,000,000", "$1m", "a million dollars"),
    ("two and a half billion pounds", "£2.5bn"),
    ("three to four million dollars", "$3-4 million"),
    ("twenty euros", "€20", "20 €", "20€"),
    ("fifty cents", "$0.50", "50¢"),
    ("fifty pence", "£0.50", "50p"),
    ("two pounds and fifty pence", "£2.50", "two pounds fifty"),
    ("zero percent", "0%"),
    # ranges
    ("three to four years", "3-4 years", "3–4 years", "3 – 4 years"),
    ("nineteen ninety to nineteen ninety five", "1990-1995"),
    ("nineteen ninety to ninety five", "1990-95"),
    ("fifty to a hundred", "50-100"),
    ("nine to five", "9-5"),
    ("twenty four seven", "24/7", "24-7"),
    ("fifty fifty", "50-50", "50/50"),
    ("nine eleven", "9/11", "9-11"),
    # fractions and decimals
    ("one half", "1/2", "a half", "½"),
    ("two thirds", "2/3", "⅔"),
    ("three quarters", "three fourths", "3/4", "¾"),
    ("five eighths", "5/8"),
    ("a third of them", "one third of them", "1/3 of them"),
    ("one and a half", "1.5", "1½", "1 1/2"),
    ("three and three quarters", "3 3/4", "3.75"),
    ("two and a quarter", "2.25", "2 1/4", "2¼"),
    ("three and a third", "3 1/3", "3⅓"),
    ("point five", "zero point five", "oh point five", ".5", "0.5"),
    ("version two point one point three", "version 2.1.3", "version two dot one dot three"),
    # units and signs
    ("five kilometers", "5 km", "5km", "5 kilometres"),
    ("one pound", "1 lb"),
    ("ninety kilometers per hour", "90 km/h", "90 kph"),
    ("three millimeters", "3mm"),
    ("six feet", "6 ft"),
    ("six foot two", "6'2\"", "6’2”"),
    ("twenty degrees celsius", "20°C", "20 °C"),
    ("two by four", "2x4", "2 x 4"),
    ("five times faster", "5x faster"),
    ("number five", "no. 5", "#5", "№ 5"),
    # ordinals, days, numerals
    ("ninth", "9th"),
    ("one thousand and twenty-ninth", "1029th"),
    ("july fourth", "July 4th", "July 4"),
    ("the fourth of july", "4 July", "4th of July"),
    ("on the fourteenth June", "on the 14th June", "on the fourteenth of June", "on 14 June", "on fourteenth June"),
    ("the twenty first march", "the 21st March", "the 21st of March"),
    ("the second may have been it", "the 2nd may have been it"),
    ("may first twenty twenty", "May 1, 2020", "May 1st, 2020"),
    ("world war two", "World War II"),
    ("henry the eighth", "Henry VIII"),
    # telephone numbers
    ("eight hundred five five five one two one two", "800-555-1212", "(800) 555-1212"),
    ("plus one two oh two", "+1 202"),
    ("two six seven zero zero zero zero", "267-0000", "2670000"),
    ("zero zero zero zero zero eight five", "000-0085", "000 0085"),
]
APART = [
    ("3-4", "34"),
    ("3 to 4", "3 to 5"),
    ("9:15", "9:50"),
    ("quarter past nine", "quarter to nine"),
    ("half past four", "half past five"),
    ("1/2", "1/3"),
    ("2 1/2", "21/2"),
    ("0.5", "5"),
    ("$0.50", "$50"),
    ("a dozen", "two dozen"),
    ("July 4", "July 5"),
    ("555-1212", "555 to 1212"),
    ("from five to ten", "9:55"),
    ("ninth", "ninetieth"),
    ("a third option", "one third option"),
    ("267-0000", "267-000"),
]


@pytest.mark.parametrize("forms", ALIKE, ids=lambda forms: forms[0])
def test_what_is_said_alike_is_the_same_words(forms: tuple[str, ...]) -> None:
    """Each form against each other; normalising twice changes nothing."""
    assert {normalise(form, "en") for form in forms} == {normalise(forms[0], "en")}
    assert normalise(normalise(forms[0], "en"), "en") == normalise(forms[0], "en")


@pytest.mark.parametrize("pair", APART, ids=str)
def test_other_numbers_stay_other_numbers(pair: tuple[str, str]) -> None:
    """A rule that merges two numbers would hide errors."""
    left, right = (normalise(text, "en") for text in pair)
    assert left != right


@pytest.mark.parametrize("number", [*range(0, 130), *range(131, 2100, 37), 12_345, 342_105, 7_000_000, 123_456_789])
def test_every_number_in_words_and_digits(number: int) -> None:
    """Cardinals with and without "and" and commas, ordinals, years, percentages: each equal to its digits."""
    words, digits = num2words(number), normalise(str(number), "en")
    assert {normalise(form, "en") for form in (words, words.replace(" and ", " "), f"{number:,}")} == {digits}
    assert normalise(num2words(number or 1, to="ordinal"), "en") == normalise(ordinal(number or 1), "en")
    assert normalise(f"{words} percent", "en") == normalise(f"{number}%", "en")
    if 1100 <= number < 2100:
        assert normalise(num2words(number, to="year"), "en") == digits


@pytest.mark.parametrize("hour", range(1, 13))
def test_every_time_of_day(hour: int) -> None:
    """All minutes past and to the hour against the digits."""
    name, before = num2words(hour), (hour - 2) % 12 + 1
    for minutes in range(1, 30):
        if minutes not in (15,):
            past, to = (f"{num2words(minutes)} minutes {which} {name}" for which in ("past", "to"))
            assert normalise(past, "en") == normalise(f"{hour}:{minutes:02d}", "en")
            assert normalise(to, "en") == normalise(f"{before}:{60 - minutes}", "en")


def test_only_rising_numbers_that_look_alike_are_a_range() -> None:
    """A telephone number, a score, a date and a chain of numbers have silent dashes."""
    for silent in ("555-1212", "3-0", "24-7", "2020-05-12", "12-34-56", "covid-19", "10-4", "01-02"):
        assert ranges_as_words(silent, "to") == silent
    assert ranges_as_words("10-15% of $5-10", "to") == "10 to 15% of 5 to $10"
