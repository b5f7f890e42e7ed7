"""Clips: audio and text of utterances whose speakers agreed that they are kept, for labels and training.

    consent     does this request agree: its parameters
    store       the folder: one subfolder for each consent; write, read, forget, sweep
    collecting  what follows a stream and cuts its utterances out
    writer      the thread that writes: no stream waits for a disk

Nothing is kept unless `[collect] enabled` is set, the stream names a consent, and it does not opt out.
"""
