"""Recognition in worker processes, so that neither the event loop nor another model's step waits for Python.

contract   says what the server needs of an engine and its sessions
remote     keeps that contract: an engine in a worker process, seen from the server
messages   crosses the pipe
worker     answers inside the worker process
process    starts, asks, restarts and ends one worker; also for `batch`
pool       runs several of them for `batch`, and counts cores
"""
