"""What makes a model one of the CTC models, and how its recogniser is put together."""

from asr.models.architecture import Architecture
from asr.models.ctc.files import CtcFiles, read_files, tokenizer_file
from asr.models.ctc.network import CtcNetwork
from asr.models.ctc.recogniser import CtcRecogniser


def recogniser_of(files: CtcFiles, precision: str) -> CtcRecogniser:
    """The recogniser of these files; `precision` is one of `asr.models.linear.PRECISIONS`."""
    network = CtcNetwork(files.tensors, files.config, normalise=files.vocabulary.normalise, precision=precision)
    return CtcRecogniser(
        files.name, files.architecture, files.weights_sha256, network, files.vocabulary, files.decoding
    )


CTC = Architecture(
    model_types=("wav2vec2", "hubert", "wavlm"),
    layouts=("transformers",),
    settings_files=(
        *("vocab.json", "tokenizer_config.json", "special_tokens_map.json"),
        *("preprocessor_config.json", "processor_config.json"),
    ),
    tokenizer_file=tokenizer_file,
    read=read_files,
    recogniser=recogniser_of,
)
