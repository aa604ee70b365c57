"""`slowwave models`: fetch models into the cache, and list what is there."""

from __future__ import annotations

from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, Session, SetOption
from slowwave.cli._progress import download_bar

app = typer.Typer(help="Models in the cache: pull, list.", no_args_is_help=True)


@app.command("pull")
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Name, .gguf file or hub id (default: the model of the settings, and the embedder)."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """Fetch models, checked by hash. An interrupted download goes on where it stopped."""
    from slowwave.config import cache_folder
    from slowwave.models import zoo

    session = Session(home, as_json=as_json, flags=flags)
    rows = []
    for name in names or [session.settings.model.name, EMBEDDER]:
        with download_bar(name) as progress:
            rows.append({"name": name, "path": str(zoo.pull(name, cache_folder(), progress))})
    session.answer({"models": rows}, *(f"{row['name']} is in {row['path']}" for row in rows))


@app.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False, flags: SetOption = None) -> None:
    """The models that are here, and those that can be had without a hub."""
    from rich.table import Table

    from slowwave.config import cache_folder
    from slowwave.models import zoo

    session = Session(home, as_json=as_json, flags=flags)
    found = zoo.list_models(cache_folder())
    chosen = session.settings.model.name
    table = Table("", "name", "size", "source", "where", box=None, pad_edge=False)
    for model in found:
        size = f"{model.bytes / 1e6:,.0f} MB" if model.path else ""
        where = str(model.path) if model.path else "not pulled"
        table.add_row("*" if model.name == chosen else "", model.name, size, model.source, where)
    rows = [
        {"name": model.name, "source": model.source, "path": model.path and str(model.path), "bytes": model.bytes}
        for model in found
    ]
    session.answer({"models": rows, "chosen": chosen}, table)


EMBEDDER = "minilm-l6-v2"  # salience and the dreams' filter need it whatever model answers
