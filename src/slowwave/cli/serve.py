"""`slowwave serve`: answer through an OpenAI-compatible API, and record what is lived."""

from __future__ import annotations

from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, Session, SetOption, err, print_json


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on (default: serve.host); other than loopback needs a key.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: the setting serve.port. 0 takes a free one.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="SLOWWAVE_KEY", help="Bearer key that clients must send; safer by environment.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model to answer with (default: model.name).")] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="Let this OpenAI-compatible endpoint answer; record as usual.")
    ] = None,
    upstream_key: Annotated[
        str | None, typer.Option(envvar="SLOWWAVE_UPSTREAM_KEY", help="Key of the upstream; safer by environment.")
    ] = None,
    upstream_model: Annotated[
        str | None, typer.Option(help="Model to ask the upstream for (default: what the client asks for).")
    ] = None,
    home: HomeOption = None,
    flags: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer through an OpenAI-compatible API, by day; what is said is recorded for the night."""
    from slowwave.errors import UsageError
    from slowwave.serve.answer import Answerer, LocalAnswerer
    from slowwave.serve.app import create_app
    from slowwave.serve.auth import load_keys
    from slowwave.serve.recorder import Recorder
    from slowwave.serve.run import address_of, listen, run
    from slowwave.serve.upstream import UpstreamAnswerer

    if upstream and model:
        raise UsageError("--model and --upstream exclude each other.", "With --upstream, use --upstream-model.")
    given = {"serve.host": host, "serve.port": port, "serve.upstream": upstream, "model.name": model}
    said = [f"{setting}={value}" for setting, value in given.items() if value is not None]
    session = Session(home, as_json=as_json, flags=[*(flags or ()), *said])
    settings = session.settings.serve
    if upstream_model and not settings.upstream:
        raise UsageError("--upstream-model needs --upstream.", "See slowwave serve --help.")
    keys = load_keys(session.home, key)
    with listen(settings.host, settings.port, keys) as taken, session.store as store:
        answerer: Answerer
        if settings.upstream:
            answerer = UpstreamAnswerer(settings.upstream, upstream_key, upstream_model)
        else:
            answerer = LocalAnswerer(session.engine, session.registry)
        waking = session.waking(learned=bool(settings.upstream))
        recorder = Recorder(store, remember=waking.soon) if waking else Recorder(store)
        if waking:
            for name in store.personas():
                waking.soon(name)  # what was said before a restart is in mind at the next turn
        app = create_app(answerer, recorder, keys, (session.registry, store), session.persona, waking)
        if as_json:
            print_json({"url": address_of(taken)})
        else:
            err().print(f"slowwave answers at {address_of(taken)} (Ctrl-C stops)")
        run(app, taken)
