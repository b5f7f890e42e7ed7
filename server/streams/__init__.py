"""From a client's frames to model steps and back. None of it knows a wire.

admission    who gets a place
connection   one client: a wire, a transport, a stream; how an error ends it
inbox        the bounded queue between a connection's reader and its worker
spool        the inbox's part on disk
stream       one stream at the model: bytes in, events out
channels     the streams of a connection whose channels are kept apart
scheduler    batches the streams that are ready; one replica per worker process
load_meter   how busy a replica is, and which stream is too late
"""
