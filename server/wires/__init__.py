"""The protocols of clients, without I/O. A new one implements `base.Wire`, and gets a route in `server.http`.

base                    what a wire is: commands, results, endings, the order of calls
deepgram                Deepgram's live wire: client messages, close codes
deepgram_messages       its server messages
deepgram_query          its query parameters
deepgram_flux           its live wire of turns
deepgram_prerecorded    its API for whole recordings: query, response body (no stream, so no `Wire`)
openai_realtime         OpenAI's Realtime transcription: client events, close codes
openai_realtime_messages its server events
openai_realtime_session its settings
openai_transcriptions   OpenAI's upload API: form fields, response bodies, server-sent events (no `Wire` either)
wyoming                 Home Assistant's protocol: events as bytes, transcripts
"""
