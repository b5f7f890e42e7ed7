"""What makes a model a Whisper model, and how its recogniser is put together."""

from asr.models.architecture import Architecture
from asr.models.whisper.files import WhisperFiles, read_files, tokenizer_file
from asr.models.whisper.network import WhisperNetwork
from asr.models.whisper.recogniser import WhisperRecogniser
from asr.models.whisper.silence_copy import SilenceCopy
from asr.models.whisper.tokenizer import SpecialTokens, Tokenizer


def recogniser_of(files: WhisperFiles, precision: str) -> WhisperRecogniser:
    """The recogniser of these files; `precision` is one of `asr.models.linear.PRECISIONS`."""
    tokenizer = Tokenizer(files.tokenizer_json)
    special = SpecialTokens.of(tokenizer, files.generation)
    heads, suppressed = _alignment_heads(files), _suppressed(files, special.end)
    copy = SilenceCopy(files, precision)
    silence = copy.read()
    network = WhisperNetwork(files.tensors, files.config, heads, suppressed, precision=precision, silence=silence)
    if silence is None:
        copy.write(network.silence)
    return WhisperRecogniser(files.name, files.weights_sha256, network, tokenizer, special)


def _alignment_heads(files: WhisperFiles) -> list[tuple[int, int]]:
    """Pairs of layer and head: as the model states them, else all heads of the upper half, Whisper's own default."""
    stated = files.generation.get("alignment_heads")
    if stated:
        return [(int(layer), int(head)) for layer, head in stated]
    layers, heads = int(files.config["decoder_layers"]), int(files.config["decoder_attention_heads"])
    return [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]


def _suppressed(files: WhisperFiles, end: int) -> list[int]:
    """Tokens that are never written: the model's own list, and every special token but `end`, the first of them."""
    vocabulary = int(files.config["vocab_size"])
    never = {*files.generation["suppress_tokens"], *range(end + 1, vocabulary)}
    return sorted(never - {end})


WHISPER = Architecture(
    model_types=("whisper",),
    layouts=("transformers", "ctranslate2"),
    settings_files=("generation_config.json", "tokenizer.json", "vocabulary.*"),
    tokenizer_file=tokenizer_file,
    read=read_files,
    recogniser=recogniser_of,
)
