"""What `GET /metrics` reports. Numbers and names of models only, never text that was recognised."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_RELEASE = ("model", "release")
"""`release` is empty, which is as good as no label, for a model that is no release of a ledger."""
_LANE = (*_RELEASE, "lane")

_PAIR = ["model", "release", "challenger"]


class Metrics:
    """The metrics of one server, in a registry of their own: several servers can live in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.open_streams = Gauge("asr_open_streams", "Streams and uploads being served", registry=registry)
        self.detached_streams = Gauge(
            "asr_detached_streams", "Streams whose connection is lost, waiting for another", registry=registry
        )
        self.kept_bytes = Gauge(
            "asr_kept_bytes", "Memory of messages kept for clients that may come back", registry=registry
        )
        self.relayed_streams = Gauge(
            "asr_relayed_streams", "Connections passed on to the server that keeps their stream", registry=registry
        )
        self.resumes = Counter(
            "asr_resumes", "Lost connections, by how their stream went on", ["outcome"], registry=registry
        )
        self.refused = Counter(
            "asr_refused", "Requests refused before any audio, by reason", ["reason"], registry=registry
        )
        self.failed_tries = Counter("asr_failed_tries", "Requests with a wrong key or token", registry=registry)
        self.ended = Counter("asr_ended", "Streams ended, by close code", ["code"], registry=registry)
        self.errors = Counter("asr_errors", "Errors reported to clients, by kind", ["kind"], registry=registry)
        self.audio_s = Counter("asr_audio_seconds", "Audio received", registry=registry)
        self.finals = Counter("asr_finals", "Final results sent", registry=registry)
        self.partials = Counter("asr_partials", "Interim results sent", registry=registry)
        self.show_interval_s = Gauge(
            "asr_show_interval_seconds",
            "New speech after which words are shown early; 0: no time to spare for it",
            _LANE,
            registry=registry,
        )
        self.lag_s = Histogram(
            "asr_lag_seconds",
            "Audio received and not recognised yet, after a step",
            buckets=_SECONDS,
            registry=registry,
        )
        self.word_delay_s = Histogram(
            "asr_word_delay_seconds",
            "Audio received between a word's end and its final result",
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_age_s = Gauge(
            "asr_queue_age_seconds",
            "How long the first stream in the queue has waited for its step",
            _LANE,
            registry=registry,
        )
        self.load = Gauge(
            "asr_load",
            "Share of a worker's time that its streams take",
            _LANE,
            registry=registry,
        )
        self.step_s = Histogram("asr_step_seconds", "One model step", _RELEASE, buckets=_SECONDS, registry=registry)
        self.queue_s = Histogram(
            "asr_queue_seconds",
            "Time that a stream waited for its step",
            _RELEASE,
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "asr_batch_size",
            "Streams in a step",
            _RELEASE,
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.failed_steps = Counter("asr_failed_steps", "Streams whose step failed", _RELEASE, registry=registry)
        self.lanes_ready = Gauge(
            "asr_lanes_ready", "Workers that serve streams at the moment", _RELEASE, registry=registry
        )
        self.worker_restarts = Counter(
            "asr_worker_restarts",
            "Workers that died or were killed, and are back",
            _LANE,
            registry=registry,
        )
        self.worker_hangs = Counter(
            "asr_worker_hangs",
            "Workers that were killed because a step took too long",
            _LANE,
            registry=registry,
        )
        self.failed_starts = Counter(
            "asr_worker_failed_starts",
            "Restarts of a worker that failed",
            _LANE,
            registry=registry,
        )
        self.moved_streams = Counter(
            "asr_moved_streams",
            "Streams continued after the death of their worker",
            _RELEASE,
            registry=registry,
        )
        self.canary_weight = Gauge(
            "asr_canary_weight", "Share of the clients that the canary serves", ["model", "release"], registry=registry
        )
        self.pairs = Counter("asr_shadow_pairs", "Streams that two releases heard", _PAIR, registry=registry)
        self.pair_words = Counter("asr_shadow_words", "Words of the champion in them", _PAIR, registry=registry)
        self.pair_distance = Counter(
            "asr_shadow_distance", "Words in which their two texts differ", _PAIR, registry=registry
        )
        self.shadow_dropped = Counter(
            "asr_shadow_dropped", "Sampled streams without a pair, by reason", ["model", "reason"], registry=registry
        )
        self.shadow_lag_s = Gauge(
            "asr_shadow_lag_seconds", "Age of the oldest audio that the shadow has still to hear", registry=registry
        )
        self.shadow_bytes = Gauge("asr_shadow_bytes", "Memory of audio kept for the shadow", registry=registry)
        self.ledger_waiting = Gauge(
            "asr_ledger_waiting", "Rows that wait to be written into the ledger", registry=registry
        )
        self.ledger_dropped = Counter(
            "asr_ledger_dropped", "Rows that the ledger did not get, by kind", ["kind"], registry=registry
        )
        self.clips_written = Counter(
            "asr_clips_written", "Utterances and second texts kept by consent", registry=registry
        )
        self.clips_dropped = Counter(
            "asr_clips_dropped", "Utterances with a consent that are not kept, by reason", ["reason"], registry=registry
        )
        self.clips_bytes = Gauge("asr_clips_bytes", "Size of the folder of clips", registry=registry)
        self.seats = Gauge("asr_seats", "Streams and uploads on a release", _RELEASE, registry=registry)
        self.swaps = Counter(
            "asr_swaps", "Releases put behind an alias of a model", ["model", "alias"], registry=registry
        )
        self.failed_loads = Counter(
            "asr_failed_loads",
            "Releases that could not be loaded or failed their self-test",
            ["model"],
            registry=registry,
        )
        self.ledger_age_s = Gauge(
            "asr_ledger_age_seconds", "Time since the ledger was read without a fault", registry=registry
        )
        self.model = Gauge("asr_model_info", "A model being served", [*_RELEASE, "weights_sha256"], registry=registry)

    def forget(self, model: str, release: str) -> None:
        """Drops the series of a release that is not served any more, so that they do not add up over the swaps."""
        for collector in vars(self).values():
            if "release" in getattr(collector, "_labelnames", ()):
                collector.remove_by_labels({"model": model, "release": release})

    def render(self) -> bytes:
        """All metrics in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)
