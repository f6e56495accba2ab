"""`maru models` …: what is typed, and what is printed."""

from typing import Annotated, Any

import typer

from maru_cli.asking import Json, ask, done, show
from maru_kit.errors import ConfigError

app = typer.Typer(help="Models of your own for posts' tags.", no_args_is_help=True)

OWN = "default"
Head = Annotated[str, typer.Argument(help="sentiment, intent or aspects")]
Learner = Annotated[str, typer.Argument(help="sentiment, intent or topics")]
Name = Annotated[str, typer.Argument(help="A folder of models; `default` is Maru's own.")]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", help="What a label means: LABEL_0=negative; repeatable."),
]


@app.command("list")
def models_list(as_json: Json = False) -> None:
    """List what is chosen for each head, and the models that can be."""
    found = ask(lambda client: client.call("GET", "/api/v1/models/choices"))
    if as_json:
        show(found, {}, "", as_json=True)
        return
    rows = [
        {"head": it["head"], "model": _name(it["model"]), "shadow": _name(it["shadow"], "")}
        for it in found["heads"]
    ]
    show(rows, {"head": "Tag", "model": "Model", "shadow": "In the shadow"}, "", as_json=False)
    done(found, f"To choose: {', '.join(found['available']) or 'none yet'}", as_json=False)


@app.command("use")
def models_use(head: Head, name: Name, label: Label = None, as_json: Json = False) -> None:
    """Have a model tag new posts; nothing runs in the shadow after that."""
    body = {"model": _model(name, label), "shadow": None}
    chosen = ask(lambda client: _choose(client, head, body))
    done(chosen, f"{head} of new posts is by {name} from now on.", as_json=as_json)


@app.command("shadow")
def models_shadow(head: Head, name: Name, label: Label = None, as_json: Json = False) -> None:
    """Run a model beside the one that tags, to compare; `default` ends it."""
    body = {"shadow": _model(name, label)}
    chosen = ask(lambda client: _choose(client, head, body))
    done(chosen, f"In the shadow of {head}: {_name(chosen['shadow'], 'nothing')}.", as_json=as_json)


@app.command("learn")
def models_learn(
    head: Learner,
    on: Annotated[bool, typer.Argument(metavar="ON", help="yes or no")],
    as_json: Json = False,
) -> None:
    """Let a tag learn from corrected posts, where that makes it better; or go back."""
    chosen = ask(lambda client: _choose(client, head, {"learns": on}))
    said = f"{head} learns from corrections." if on else f"{head} learns no more."
    done(chosen, said, as_json=as_json)


@app.command("learnt")
def models_learnt(as_json: Json = False) -> None:
    """Show what was learnt from corrected posts, how good it is, and whether it is used."""
    found = ask(lambda client: client.call("GET", "/api/v1/models/learnt"))
    if as_json:
        show(found, {}, "", as_json=True)
        return
    rows = [
        {
            **it,
            "base": _share(it["base_accuracy"]),
            "exchanged": _share(it["exchanged_accuracy"]),
            "own": _share(it["accuracy"]),
            "p": "" if it["p_value"] is None else f"{it['p_value']:.2g}",
        }
        for it in found["heads"]
    ]
    columns = {
        "head": "Tag",
        "corrections": "Corrections",
        "base": "Right before",
        "exchanged": "Labels exchanged",
        "own": "Right now",
        "p": "p",
        "why": "Used or not",
    }
    show(rows, columns, "", as_json=False)


@app.command("compare")
def models_compare(head: Head, as_json: Json = False) -> None:
    """Show where the model in the shadow would have tagged differently."""
    found = ask(lambda client: client.call("GET", f"/api/v1/models/{head}/comparison"))
    if as_json:
        show(found, {}, "", as_json=True)
        return
    show(found["pairs"], {"label": "Tag", "shadow": "Shadow", "posts": "Posts"}, "", as_json=False)
    said = f"{found['agreement']:.1%} of {found['posts']} posts are tagged alike."
    done(found, said, as_json=False)
    columns = {"label": "Tag", "shadow": "Shadow", "text": "Post"}
    show(found["examples"], columns, "", as_json=False)


@app.command("fetch")
def models_fetch(
    repository: str,
    revision: Annotated[str, typer.Option(help="A branch, a tag or a commit.")] = "main",
    as_json: Json = False,
) -> None:
    """Fetch a model from the Hugging Face hub into the folder of models, as OWNER--NAME."""
    from maru_sentiment.hub import fetch
    from maru_sentiment.settings import Settings

    found = fetch(repository, Settings().models_folder, revision)
    said = f"{found.folder.name} is there, as of {found.revision[:12]}: {found.folder}"
    if found.needs_torch:
        said += (
            "\nIt has no ONNX graph. Where posts are tagged, it needs maru-sentiment[torch]; "
            "or export it: docs/models.md."
        )
    told = {
        "model": found.folder.name,
        "revision": found.revision,
        "needs_torch": found.needs_torch,
    }
    done(told, said, as_json=as_json)


async def _choose(client: Any, head: str, changed: dict[str, Any]) -> Any:
    """Change a part of what is chosen for a head."""
    choices = await client.call("GET", "/api/v1/models/choices")
    now: dict[str, Any] = next((it for it in choices["heads"] if it["head"] == head), {})
    kept = {name: value for name, value in now.items() if name != "head"}
    return await client.call("PUT", f"/api/v1/models/{head}", json=kept | changed)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _model(name: str, labels: list[str] | None) -> dict[str, Any] | None:
    if name == OWN:
        return None
    pairs = [label.rpartition("=") for label in labels or ()]
    if unclear := [
        label for label, (theirs, _, _) in zip(labels or (), pairs, strict=True) if not theirs
    ]:
        raise ConfigError(f"{unclear}: write --label THEIRS=OURS, such as LABEL_0=negative")
    return {"name": name, "labels": {theirs: ours for theirs, _, ours in pairs}}


def _name(model: dict[str, Any] | None, none: str = "Maru's own") -> str:
    return str(model["name"]) if model else none
