"""The server: live streams over WebSocket, uploads over HTTP, the page; and its client, `asr stream`.

commands   `asr serve` and `asr stream`
run        Uvicorn with the application, and the shutdown
config     the settings, with their defaults in configs/server.toml
metrics    what `GET /metrics` reports
address    where the server listens
http/      routes, the checks before a stream, the state that the routes share
streams/   a connection, its stream, admission, the queue before a model
wires/     the protocols of clients, without I/O
workers/   models in processes of their own
client/    a client of the live protocol
static/    the page
"""
