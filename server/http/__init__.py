"""The ASGI application.

app             routes and middleware put together
service         the state that all routes share: schedulers by model, admission, metrics, readiness
listen          `GET /v1/listen` and `/v2/listen`: the checks before a WebSocket is accepted
prerecorded     `POST /v1/listen`: a recording, or its address
fetch           a recording from a public address, and from no other
transcriptions  `POST /v1/audio/transcriptions`: a recording, its text whole or as events
realtime        `GET /v1/realtime`: the checks before a WebSocket is accepted
routes          health, metrics, models
uploads         what the routes that take a recording share
errors          errors in OpenAI's form
refusals        a line in the log for each refused request
origin          which web pages may connect
gate            whose key a request shows, and what it may do, before every route
grants          short-lived tokens
security_headers what browsers may do with responses
cors            the headers that let those pages read the responses
websocket       the transport of a connection
"""
