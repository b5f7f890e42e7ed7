"""What two sets share."""

from dataclasses import replace

from eval.audit.leaks import leaks, split_of
from tests.eval.labelled import labelled

LONG = "it was the best of times it was the worst of times"


def test_the_same_recording_is_found_by_its_samples() -> None:
    """Whatever it is called and labelled in the other set."""
    a, b = labelled("one", "two", dataset="a"), labelled("three", "four", dataset="b")
    sounds = {("a", "u0"): "x", ("a", "u1"): "y", ("b", "u0"): "z", ("b", "u1"): "x"}
    (leak,) = leaks(a + b, sounds)
    assert (leak.kind, leak.sets, leak.shared, leak.left, leak.right) == ("recording", ("a", "b"), 1, 1, 1)
    assert leak.pairs == ((a[0], b[1]),)


def test_the_same_text_is_found_when_it_is_long_enough() -> None:
    """Compared without case and punctuation; what anybody may say is no leak."""
    a = labelled("Yes, of course.", "How are you today, my friend?", dataset="a")
    b = labelled("yes of course", "how are you today my friend", "how are you today my friend", dataset="b")
    (leak,) = leaks(a + b, {})
    assert (leak.kind, leak.shared, leak.left, leak.right) == ("text", 1, 1, 2)


def test_a_text_within_a_longer_one_is_found_either_way_round() -> None:
    """Word for word: a clip and the chapter that it was cut from."""
    a = labelled(LONG, "the worst of all times ever", dataset="a")
    b = labelled("The worst of times, it was", "it was the worst of times", dataset="b")
    for sets in ((a, b), (b, a)):
        (leak,) = leaks([*sets[0], *sets[1]], {})
        assert leak.kind == "text within a longer one"
        assert [
            (short.text, long.text) for short, long in (sorted(p, key=lambda u: len(u.text)) for p in leak.pairs)
        ] == [("it was the worst of times", LONG)]


def test_the_same_speaker_is_counted_with_all_recordings() -> None:
    """Unknown speakers are not one speaker."""
    a = labelled("one", "two", dataset="a", speaker="ann") + labelled("three", dataset="a")
    b = labelled("four", dataset="b", speaker="ann") + labelled("five", dataset="b")
    (leak,) = leaks(a + b, {})
    assert (leak.kind, leak.shared, leak.left, leak.right) == ("speaker", 1, 2, 1)


def test_a_shared_file_name_counts_if_it_is_distinctive() -> None:
    """Corpora number their recordings; "audio" and "1" mean nothing."""

    def named(name: str, dataset: str):
        (one,) = labelled("text", dataset=dataset)
        clip = replace(one.clips[0], audio=one.clips[0].audio.with_name(f"{name}.wav"))
        return replace(one, clips=(clip,))

    (leak,) = leaks([named("LJ001-0119", "a"), named("LJ001-0119", "b")], {})
    assert leak.kind == "file name"
    assert leaks([named("u1", "a"), named("u1", "b")], {}) == ()


def test_splits_of_one_data_set_are_sets_of_their_own() -> None:
    """A saved dictionary of train and test."""
    train, test = (replace(labelled(LONG)[0], id=s, attributes=(("split", s),)) for s in ("train", "test"))
    assert split_of(train) == "d/train"
    assert [leak.sets for leak in leaks([train, test], {})] == [("d/train", "d/test")]


def test_sets_that_share_nothing_leak_nothing() -> None:
    """And a set does not leak into itself."""
    assert leaks(labelled(LONG, LONG, dataset="a") + labelled("something else that is long", dataset="b"), {}) == ()
