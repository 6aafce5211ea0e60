"""The command serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    Excludes1,
    Patterns,
    Setting,
    StressFracture,
    StrictRelease,
    app,
    load,
)

PORT = 4306


@app.command()
def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0 takes one that is free.")] = PORT,
    workers: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Processes that share the requests, best one a core.")
    ] = 1,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="A secret that callers must show; needed beyond loopback."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name callers may use in Host; may be repeated."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option("--cors-origin", metavar="URL", help="A web page's origin that may call; may be repeated."),
    ] = None,
    max_body: Annotated[
        int, typer.Option("--max-body", min=1024, metavar="BYTES", help="Of a request, or of a line of a batch.")
    ] = 1 << 20,
    max_batch: Annotated[int, typer.Option("--max-batch", min=1024, metavar="BYTES", help="Of a batch.")] = 16 << 20,
    max_concurrent: Annotated[
        int, typer.Option("--max-concurrent", min=1, metavar="N", help="Requests at a time in one process.")
    ] = 100,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For a request to arrive, or an answer to be taken.")
    ] = 10,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="A line a request: method, route, status, time, id; nothing sent.")
    ] = False,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="OUT", help="What batch has written: a worklist for the page."),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", metavar="FILE", help="Where the page keeps decisions; default: your data folder."),
    ] = None,
    keep_notes: Annotated[
        bool,
        typer.Option("--keep-notes", help="Keep with each decision the note's text, so that gold can be exported."),
    ] = False,
    log_level: Annotated[
        str, typer.Option("--log-level", metavar="error|warning|info|debug|trace", help="Of the server's own messages.")
    ] = "warning",
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
    strict_release: StrictRelease = False,
) -> None:
    """Answer over HTTP: a page for coders at /, and for scribe software POST /v1/extract and more, documented at /docs.

    Keeps no note; of the page it keeps what coders decide. Listens on loopback; anywhere else needs --token-file, and a proxy before it for TLS. Needs
    pip install 'parsnlp[service]'. SIGTERM and Ctrl-C let requests under way finish.

    \b
    Examples:
      parsnlp serve
      parsnlp serve --results codes.jsonl
      parsnlp serve --workers 2 --port 8080 --access-log
      parsnlp serve --host 0.0.0.0 --token-file token --allow-host coder.example
    """
    try:
        from parsnlp.interfaces.service import serving
        from parsnlp.interfaces.service.settings import Settings
    except ModuleNotFoundError as error:
        raise InputError(f"serve needs {error.name}: pip install 'parsnlp[service]'") from None
    if log_level not in serving.LOG_LEVELS:
        raise InputError(f"--log-level is not one of {', '.join(serving.LOG_LEVELS)}")
    load(setting, excludes1, stress_fracture, patterns, strict_release)  # what is wrong with them is told here, once
    token = None if token_file is None else serving.read_token(token_file)
    with serving.listening(host, port) as sock:
        if token is None and not serving.is_loopback(sock):
            raise InputError(
                f"{host}: others can reach this address; give --token-file FILE with a secret that callers must show"
            )
        settings = Settings(
            setting=setting,
            excludes1=excludes1,
            stress_fracture=stress_fracture,
            patterns=tuple(map(str, patterns or ())),
            strict_release=strict_release,
            hosts=serving.hosts(host, sock, allow_host or []),
            token=token,
            origins=tuple(cors_origin or ()),
            max_body=max_body,
            max_batch=max_batch,
            max_concurrent=max_concurrent,
            seconds=timeout,
            access_log=access_log,
            decisions=decisions,
            keep_notes=keep_notes,
            results=results,
        )
        service = serving.server(settings, workers, log_level)
        bound, at, *_ = sock.getsockname()
        shown = f"[{bound}]" if ":" in bound else bound
        typer.echo(f"parsnlp: serving on http://{shown}:{at}, documentation at /docs; Ctrl-C stops", err=True)
        if not serving.is_loopback(sock):
            typer.echo(
                "parsnlp: callers need the token; what they send is not encrypted, so put a TLS proxy before it",
                err=True,
            )
        serving.serve(service, sock)
