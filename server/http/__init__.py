"""The ASGI application.

app         routes and middleware put together
service     the state that all routes share: schedulers by model, admission, metrics, readiness
listen      `GET /v1/listen`: the checks before a WebSocket is accepted
routes      health, metrics, models, uploads
origin      which web pages may connect
cors        the headers that let those pages read the responses
websocket   the transport of a connection
"""
