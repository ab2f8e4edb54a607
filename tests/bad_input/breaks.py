"""How input is broken: functions that return a function which breaks something in a place."""

import json
import shutil

import h5py
import numpy as np

from hycon.encoders.tiny import build_bert
from hycon.params import Corpus, Encoder, merge


def given(**overlay):
    """Give parameters by an overlay."""

    def breaks(place):
        place.overlay = overlay

    return breaks


def text_of(name, text):
    """Put a text, or bytes, into a file."""

    def breaks(place):
        place.own(name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return breaks


def added(name, text):
    def breaks(place):
        path = place.own(name)
        path.write_text(path.read_text() + text)

    return breaks


def gone(name):
    return lambda place: (place / name).unlink()


def cut(name, size=None):
    """Cut a file in half, or to a size."""

    def breaks(place):
        path = place.own(name)
        content = path.read_bytes()
        path.write_bytes(content[: size or len(content) // 2])

    return breaks


def every(name, change):
    """Change intervals and features of every video: of both to both, or None to take one away."""

    def breaks(place):
        with place.sequence(name) as data:
            for video in data:
                put(data[video], *change(data[video]["intervals"][()], data[video]["features"][()]))

    return breaks


def first(name, change):
    """Change intervals and features of the first video only."""

    def breaks(place):
        with place.sequence(name) as data:
            group = data[min(data)]
            put(group, *change(group["intervals"][()], group["features"][()]))

    return breaks


def put(group, intervals, features):
    for name, values in (("intervals", intervals), ("features", features)):
        del group[name]
        if values is not None:
            group[name] = values


def rooted(change):
    """Change the root of audio.csd."""

    def breaks(place):
        with h5py.File(place.own("raw/audio.csd"), "r+") as file:
            change(file, next(iter(file)))

    return breaks


def flipped(place):
    """Damage what is stored of a compressed array."""
    path = place.own("raw/audio.csd")
    with h5py.File(path, "r+") as file:
        data = next(iter(file.values()))["data"]
        group = data[min(data)]
        values = group["features"][()]
        del group["features"]
        stored = group.create_dataset("features", data=values, chunks=values.shape, compression=9)
        start = stored.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start : start + 400] = b"\xff" * 400
    path.write_bytes(content)


def flattened(place):
    """Let an array of two dimensions that is stored in pieces claim to have one."""
    path = place.own("raw/audio.csd")
    with h5py.File(path, "r+") as file:
        data = next(iter(file.values()))["data"]
        group = data[min(data)]
        values = group["features"][()]
        del group["features"]
        group.create_dataset("features", data=values, chunks=values.shape)
    sizes = b"".join(size.to_bytes(8, "little") for size in values.shape)
    # a dataspace of version 1: its rank, and a flag that the largest sizes follow, here taken away
    before, after = (bytes([1, rank, flag, *[0] * 5]) + sizes for rank, flag in ((2, 1), (1, 0)))
    content = path.read_bytes().replace(before, after)
    path.write_bytes(content)


def renamed(name):
    def breaks(place):
        with place.sequence(name) as data:
            for video in list(data):
                data.move(video, f"other_{video}")

    return breaks


def swapped(place):
    shutil.copy((place / "raw/audio.csd").resolve(), place.own("raw/words.csd"))


def folds(change):
    def breaks(place):
        path = place.own("raw/folds.json")
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return breaks


def unlabelled(place):
    """Take the labels of the validation fold away."""
    videos = place.videos("valid")
    with place.sequence("labels") as data:
        for video in videos:
            del data[video]


def labelled(value):
    return every("labels", lambda times, values: (times, np.full_like(values, value)))


def of_emotions(place):
    place.corpus = Corpus.model_validate(
        {**place.corpus.model_dump(), "task": "classification", "generator": None,
         "emotions": ["happy", "sad"]}
    )  # fmt: skip


def table(row, column, value):
    """Change a column of the aligned utterances, in one row or in those of a fold."""

    def breaks(place):
        path = place.own("aligned/utterances.csv")
        lines = path.read_text().splitlines()
        names = lines[0].split(",")
        for number, line in enumerate(lines[1:], start=1):
            cells = line.split(",")
            if row in (number, cells[names.index("fold")]):
                cells[names.index(column)] = value
                lines[number] = ",".join(cells)
        path.write_text("\n".join(lines) + "\n")

    return breaks


def array(name, change):
    def breaks(place):
        path = place.own(name)
        np.save(path, change(np.load(path)))

    return breaks


def encoder(model, **more):
    def breaks(place):
        place.encoder = Encoder(label="e", kind="transformer", model=model, **more)

    return breaks


def local(change):
    """Encode with the model of a folder in which something is changed."""

    def breaks(place):
        place.encoder = Encoder(label="e", kind="transformer", model=str(place / "bert"))
        change(place)

    return breaks


def configured(**values):
    def breaks(place):
        path = place.own("bert/config.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return breaks


def foreign_tokenizer(place):
    words = " ".join(f"word{number} a" for number in range(300))
    build_bert([words, "good film"], place / "other")
    shutil.copy(place / "other/tokenizer.json", place.own("bert/tokenizer.json"))
    shutil.rmtree(place / "other")
    path = place.own("aligned/utterances.csv")
    lines = path.read_text().splitlines()
    lines[1] = lines[1].rsplit(",", 2)[0] + ",word299,"
    path.write_text("\n".join(lines) + "\n")


def offline(place):
    """Name a model of the hub where there is no network (`disconnected` takes it away)."""
    place.encoder = Encoder(label="e", kind="transformer", model="nobody/nothing")


def record(key, value, name="runs/seed-1/run.json"):
    """Change a record, as if it had been made with another value."""

    def breaks(place):
        path = place.own(name)
        content = json.loads(path.read_text())
        nested = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        path.write_text(json.dumps(merge(content, nested)))

    return breaks


def shorter(place):
    """Give a run's output one utterance less."""
    from safetensors.numpy import load_file, save_file

    path = place.own("runs/seed-1/representations.safetensors")
    save_file({name: values[:-1] for name, values in load_file(path).items()}, path)


def other_settings(place):
    train_ = place.settings.train.model_copy(update={"alpha": 0.4})
    place.settings = place.settings.model_copy(update={"train": train_})
