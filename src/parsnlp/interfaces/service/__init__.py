"""The local service: parsnlp over HTTP for scribe software. No state: a request's note is gone when it is answered.

`app` puts it together; `guards`, `bodies` and `problems` face the network, `answers` faces the extractor; `workers` are the
processes in which notes are read, `serving` is the socket. Starlette and uvicorn, and why: docs/decisions/0006.
"""
