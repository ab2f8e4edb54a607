"""Loading params.yaml: what is wrong is said in one line that names the key."""

import re
import shutil
from pathlib import Path

import pytest

from hycon.errors import HyConError
from hycon.params import Settings, load, merge, override, read_texts, read_yaml

ROOT = Path(__file__).resolve().parents[1]


def refused(overlay):
    with pytest.raises(HyConError) as caught:
        load(ROOT, overlay)
    message = str(caught.value)
    assert "\n" not in message
    return message


OWN = {"variants": {"new": {"label": "N", "peer": {"network": "own", "name": "mine"}}}}


def on_mosi(variants):
    return {"per_corpus": {"mosi": {"variants": variants}}}


# what takes all experiments but `main` away
OTHERS = dict.fromkeys(("modalities", "peers", "ablation", "fusion", "alpha", "losses"))


def test_the_shipped_parameters_are_valid_and_reproduce_the_samples():
    params = load(ROOT)
    assert params.corpora == ["sample", "sample-emotion"]
    assert params.settings("mosi", "hycon", "bert").train.lambdas.intra > 0
    assert params.settings("mosi", "hycon", "bert").train.selection is None
    assert params.settings("mosi", "hycon-v2", "bert").train.selection is not None
    assert not any(
        params.settings("mosi", "no-contrastive", "bert").train.lambdas.model_dump().values()
    )


OVERLAYS = sorted([*ROOT.glob("config/*.yaml"), *ROOT.glob("results/*/tuning/*.yaml")])


def with_those_below(overlay):
    """Return an overlay on top of the ones that its command, in its head, reads before it."""
    found = {}
    if command := re.search(r"^#.* --configfile ([^\n]+)", overlay.read_text(), re.MULTILINE):
        for name in re.findall(rf"(config/\S+) (?=.*config/{overlay.name})", command[1]):
            found = merge(found, read_yaml(ROOT / name))
    return merge(found, read_yaml(overlay))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda p: p.stem)
def test_every_shipped_overlay_is_valid(overlay):
    assert load(ROOT, with_those_below(overlay)).corpora


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ({"trian": {}}, "trian: unknown key; did you mean 'train'?"),
        ({"train": {"lr": 1}}, "train.lr: unknown key (allowed: epochs, "),
        ({"train": {"alpha": 1.5}}, "train.alpha: found 1.5, expected less than or equal to 1"),
        ({"train": {"alpha": float("nan")}}, "train.alpha: found NaN, expected a finite number"),
        ({"train": {"alpha": None}}, "train: alpha: null, but a loss with a lambda above 0"),
        ({"train": {"learning_rate": "fast"}}, 'train.learning_rate: found "fast" (text), exp'),
        ({"train": {"batch_size": True}}, "train.batch_size: found true (true/false), exp"),
        ({"train": {"batch_size": 1}}, "train: batch_size: 1 leaves no pairs"),
        ({"train": {"similarity": "cosine"}}, "expected 'shifted' or 'nonnegative'"),
        ({"train": {"selection": {"beta": 0, "gamma": 1}}}, "train.selection.beta: found 0, exp"),
        ({"train": None}, "train: found nothing, expected keys and values"),
        ({"model": {"heads": 3}}, "model: dimension 50 is not a multiple of heads 3"),
        ({"model": {"fusion": "sum"}}, 'model.fusion: found "sum" (text), expected'),
        ({"model": {"network": "lstm", "text_pooling": "first"}}, "text_pooling: first reads one"),
        ({"variants": {"hycon": {"of": "nix"}}}, "variants.hycon.of: unknown name 'nix'"),
        ({"variants": {"tensor": {"of": "graph"}}}, "variants.tensor.of: graph has an `of` its"),
        ({"train": {"pair_loss": "triplet"}}, "variants.hycon-v2.train: selection: only for pair"),
        ({"encoders": {"glove": {"finetune": True}}}, "finetune belongs to kind: transformer"),
        ({"encoders": {"bert": {"model": "tiny:gpt"}}}, "tiny models are tiny:bert and tiny:xlnet"),
        ({"encoders": {"bert": {"finetune": True}}, "train": {"finetuning": None}},
         "encoders.bert: finetune needs train.finetuning, which is null"),
        ({"per_encoder": {"brt": {}}}, "per_encoder: unknown name 'brt'; did you mean 'bert'?"),
        ({"per_encoder": {"bert": {"train": {"alpha": 2}}}}, "per_encoder.bert.train.alpha: found"),
        ({"tuning": {"variants": ["hycn"]}}, "tuning.variants: unknown name 'hycn'; did you mean"),
        ({"tuning": {"folds": 1}}, "tuning: folds: 1 leaves nothing to train on"),
        ({"tuning": {"space": {"train.alpah": [1]}}}, "tuning.space: train.alpah: unknown key"),
        ({"tuning": {"space": {"train.alpha": {"low": 0.5, "high": 1.5}}}},
         "tuning.space: train.alpha: found 1.5, expected less than or equal to 1"),
        ({"tuning": {"space": {"model.dimension": 50}}}, "dimension: found 50, expected a list"),
        ({"tuning": {"space": {"model.dimension": []}}}, "found [] (a list), expected a list of"),
        ({"tuning": {"space": {"train.alpha": {"lo": 1}}}}, "lo: unknown key; did you mean 'low'"),
        ({"tuning": {"space": {"train.alpha": {"low": 1, "high": 1}}}}, "low 1 is not below high"),
        ({"tuning": {"trials": 0}}, "tuning.trials: found 0, expected"),
        ({"seeds": []}, "seeds: found [] (a list), expected at least 1"),
        ({"seeds": [1, 1]}, "seeds: 1 is repeated"),
        ({"seeds": [-1]}, "seeds.0: found -1, expected greater than or equal to 0"),
        ({"seeds": 5}, "seeds: found 5, expected list"),
        ({"corpora": ["smaple"]}, "corpora: unknown name 'smaple'; did you mean 'sample'?"),
        ({"corpora": "sample"}, 'corpora: found "sample" (text), expected list'),
        ({"device": "gpu"}, 'device: found "gpu" (text), expected a text of the form'),
        ({"corpora": ["mosi-utterance"],
          "experiments": {**OTHERS, "main": {"encoders": ["glove"]}}},
         "no experiment has a text encoder for mosi-utterance (glove needs word vectors"),
        ({"corpora": ["iemocap"], "experiments": {**OTHERS, "main": {"encoders": ["bert"]}}},
         "bert needs words, and iemocap has only vectors"),
        ({"align": {"mode": "time"}}, "align.mode: found"),
        ({"experiments": {"main": {"reference": "nocontrast"}}}, "main.reference: unknown name"),
        ({"experiments": {"main": {"tsne": ["hycon", "hykon"]}}}, "tsne: unknown name 'hykon'"),
        ({"experiments": {"main": {"tsne": ["hycon"]}}}, "main.tsne: found"),
        ({"experiments": {"main": {"curve": "alpha"}}}, 'main.curve: found "alpha" (text)'),
        ({"train": {"lambdas": {"inter": 0.0, "semi": 0.0}}},
         "experiments.alpha.curve: train.alpha is unused (its lambdas are 0) in variant"),
        ({"experiments": {"main": {"curve": "train.selection.beta"}}},
         "main.curve: train.selection.beta is not a number in variant hycon"),
        ({"experiments": {"main": {"encoders": ["elmo"]}}}, "unknown name 'elmo' (allowed: glove"),
        ({"variants": {"hycon": {"train": {"alpha": 2}}}}, "variants.hycon.train.alpha: found 2"),
        ({"variants": {"hycon": {"train": {"alhpa": 1}}}}, "did you mean 'alpha'?"),
        ({"encoders": {"bert": {"model": "tiny:gpt"}}}, "encoders.bert: model tiny:gpt is unknown"),
        (
            {"catalogue": {"sample-emotion": {"emotions": ["happy", "happy", "angry", "neutral"]}}},
            "emotions: happy is repeated",
        ),
        (
            {"catalogue": {"sample-emotion": {"emotions": ["happy", "sad"]}}},
            "emotions of a generated corpus are happy, sad, angry, neutral",
        ),
        (
            {"catalogue": {"sample": {"files": {"words": {"path": "sample/w.csd"}}}}},
            "files of a generated corpus are words.csd,",
        ),
        ({"per_corpus": {"mosy": {}}}, "per_corpus: unknown name 'mosy'; did you mean 'mosi'?"),
        ({"per_corpus": {"mosi": {"model": {"heads": 7}}}}, "per_corpus.mosi.model: dimension 50"),
        (on_mosi({"mul": {}}), "per_corpus.mosi.variants: unknown name 'mul'; did you mean 'mult'"),
        (on_mosi({"mult": {"label": "x"}}), "per_corpus.mosi.variants.mult.label: unknown key"),
        (on_mosi({"mult": {"peer": {"nheads": 0}}}),
         "per_corpus.mosi.variants.mult.peer.nheads: found 0, expected greater"),
        (on_mosi({"mult": {"peer": {"nheads": 3}}}),
         "per_corpus.mosi.variants.mult.peer: dst_feature_dim 50 is not a multiple"),
        (on_mosi({"mult": {"peer": {"network": "tfn"}}}),
         "per_corpus.mosi.variants.mult.peer.network: found"),
        (on_mosi({"mult": {"model": {"heads": 1}}}),
         "per_corpus.mosi.variants.mult.model: does not apply to a peer network; remove it"),
        (on_mosi({"mult": {"train": {"lambdas": {"intra": 1}}}}),
         "per_corpus.mosi.variants.mult.train: a peer has no contrastive losses"),
        (on_mosi({"hycon": {"peer": {"rank": 2}}}),
         "per_corpus.mosi.variants.hycon.peer: hycon is no peer; remove it"),
        (on_mosi({"tensor": {"model": {"dimension": 3}}}),
         "per_corpus.mosi.variants.tensor.model: dimension 3 is not a multiple of heads 5"),
        (on_mosi({"tensor": {"train": {"lr": 3}}}), "variants.tensor.train.lr: unknown key"),
        ({"per_corpus": {"mosi": {"complexity": {"repeats": 0}}}},
         "per_corpus.mosi.complexity.repeats: found 0, expected greater"),
        ({"per_corpus": {"mosi": {"complexity": {"rounds": 1}}}},
         "per_corpus.mosi.complexity.rounds: unknown key (allowed: repeats, table)"),
        ({"variants": {"tfn": {"peer": {"network": "tnf"}}}},
         "variants.tfn.peer.network: unknown network 'tnf'; did you mean 'tfn'? (allowed: tfn, "),
        ({"variants": {"new": {"label": "N", "peer": {"rank": 3}}}}, "new.peer.network: missing"),
        ({"variants": {"new": {"label": "N", "peer": {"network": "misa", "hidden_size": 8}}}},
         "variants.new.peer.dropout: missing; it has no default"),
        ({"variants": {"lmf": {"peer": {"rnk": 3}}}}, "lmf.peer.rnk: unknown key; did you mean 'r"),
        ({"variants": {"lmf": {"peer": {"rank": "x"}}}}, 'lmf.peer.rank: found "x" (text), exp'),
        ({"variants": {"lmf": {"peer": {"hidden_dims": [1, 2, 3, 4]}}}}, "expected at most 3"),
        ({"variants": {"lmf": {"peer": 3}}}, "lmf.peer: found 3, expected keys and values"),
        ({"variants": {"mult": {"peer": {"nheads": 3}}}}, "mult.peer: dst_feature_dim 50 is not a"),
        ({"variants": {"tfn": {"model": {"layers": 1}}}}, "variants.tfn: model does not apply"),
        ({"variants": {"tfn": {"of": "hycon"}}}, "variants.tfn: of does not apply to a peer"),
        ({"variants": {"graph": {"of": "tfn"}}}, "variants.graph.of: tfn is a peer; name another"),
        ({"variants": {"tfn": {"train": {"lambdas": {"semi": 0.1}}}}},
         "variants.tfn.train: a peer has no contrastive losses; remove lambdas and selection"),
        ({"variants": {"tfn": {"train": {"lr": 1}}}}, "variants.tfn.train.lr: unknown key"),
        ({"variants": {"hycon": {"model": {"network": "tfn"}}}}, "expected 'transformer' or"),
        ({"networks": {"mine": "models/mine"}}, 'networks.mine: found "models/mine" (text), expe'),
        ({"networks": {"mine": "/a.py:Mine"}, **OWN},
         "networks.mine: found /a.py, expected a file in the project's folder"),
        ({"networks": {"mine": "hycon/../../a.py:Mine"}, **OWN},
         "networks.mine: found hycon/../../a.py, expected a file in the project's folder"),
        ({"networks": {"mine": "none.py:Mine"}, **OWN},
         "--configfile or --config: networks.mine: none.py not found; make it, or correct"),
        ({"networks": {"other": "none.py:Mine"}, **OWN},
         "networks: unknown name 'mine' (allowed: other)"),
        ({"variants": {"new": {"label": "N", "peer": {"network": "own"}}}}, "new.peer.name: miss"),
        ({"variants": {"new": {"label": "N", "peer": {"network": "own", "name": "a",
                                                      "reads": []}}}},
         "variants.new.peer.reads: found [] (a list), expected at least 1"),
        ({"variants": {"new": {"label": "N", "peer": {"network": "own", "name": "a",
                                                      "settings": {"a-b": 1}}}}},
         "variants.new.peer.settings.a-b: found"),
        ({"variants": {"new": {"label": "N", "peer": {"network": "own", "name": "a",
                                                      "settings": {"a": {"b": 1}}}}}},
         "variants.new.peer.settings.a"),
        ({"tuning": {"variants": ["lmf"], "space": {"model.rank": [3, "x"]}}},
         'tuning.space: model.rank: found "x" (text), expected integer'),
        ({"tuning": {"variants": ["lmf"], "space": {"model.memsize": [3]}}},
         "tuning.space: model.memsize: unknown key"),
        ({"encoders": {"glove": {"model": "x"}}}, "encoders.glove: model: word vectors come"),
        (
            {"catalogue": {"sample": {"files": {"words": {"path": "../words.csd"}}}}},
            "catalogue.sample.files.words: '../words.csd' must be a relative path without '..'",
        ),
        (
            {"catalogue": {"sample": {"standard_folds": "cmu_mosi"}}},
            "needs either standard_folds or a file `folds`",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_is_allowed(overlay, said):
    assert said in refused(overlay)


def test_a_message_says_whether_the_file_or_the_overlay_is_wrong(tmp_path):
    assert refused({"seeds": []}).startswith("--configfile or --config: seeds")
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("epochs: 50", "epochs: 0"))
    with pytest.raises(HyConError, match=r"^params.yaml: train.epochs: found 0, expected greater"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [1, 2", "params.yaml:1: not valid YAML: "),
        (b"a: 1\nb: 2\na: 3\n", "params.yaml:3: not valid YAML: duplicate key 'a'"),
        (b"a: \xff\n", "params.yaml: not UTF-8 (byte 3); save it as UTF-8"),
        (b"- a\n", 'params.yaml: found ["a"] (a list), expected keys and values'),
        (b"", "params.yaml: found nothing, expected keys and values"),
        (b"a: !!python/object/apply:os.system [echo]\n", "params.yaml:1: not valid YAML: "),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_with_its_line(tmp_path, content, said):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(HyConError) as caught:
        read_yaml(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_exponents_without_a_point_are_numbers():
    assert load(ROOT, {"train": {"learning_rate": "5e-4"}}).train.learning_rate == 5e-4


def test_merging_goes_key_by_key_and_replaces_lists():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merge(base, {"a": {"c": [9]}}) == {"a": {"b": 1, "c": [9]}, "d": 3}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 3}


def test_a_corpus_changes_the_settings_before_a_variant_does():
    params = load(
        ROOT,
        {
            "train": {"alpha": 0.5, "patience": 7},
            "per_corpus": {"mosi": {"train": {"alpha": 0.6, "epochs": 3}}},
            "variants": {"hycon-v2": {"train": {"alpha": 0.7}}},
        },
    )
    assert params.settings("mosi", "hycon-v2", "bert").train.alpha == 0.7
    assert params.settings("mosi", "hycon", "bert").train.alpha == 0.6
    assert params.settings("mosi", "hycon", "bert").train.epochs == 3
    assert params.settings("mosi", "hycon", "bert").train.patience == 7
    assert params.settings("mosi-utterance", "hycon", "bert").train.alpha == 0.5


def test_a_corpus_changes_a_variant_after_the_variants_own_changes_and_those_of_it_too():
    changes = {"train": {"alpha": 0.6}, "model": {"dimension": 20}}
    params = load(ROOT, {"variants": {"hycon-v2": {"train": {"alpha": 0.7}}},
                         **on_mosi({"hycon-v2": changes})})  # fmt: skip

    def found(corpus, variant):
        settings = params.settings(corpus, variant, "bert")
        return settings.train.alpha, settings.model.dimension

    assert found("mosi", "hycon-v2") == (0.6, 20)
    assert found("mosi", "tensor") == (0.6, 20)  # is `of` it
    assert found("mosi", "alpha-03") == (0.3, 20)
    assert found("mosi", "hycon") == (0.8, 50)
    assert found("mosei", "hycon-v2") == (0.7, 50)


def test_a_corpus_changes_single_sizes_of_a_peer():
    params = load(ROOT, on_mosi({"mult": {"peer": {"nheads": 2}, "train": {"batch_size": 8}}}))
    shipped = params.variants["mult"].peer
    found = params.settings("mosi", "mult", "bert")
    assert found.model == shipped.model_copy(update={"nheads": 2})
    assert found.train.batch_size == 8
    assert params.settings("mosei", "mult", "bert").model == shipped


def test_the_samples_have_sizes_of_their_own_and_other_corpora_those_of_the_variants():
    params = load(ROOT)
    for corpus in params.corpora:
        assert params.per_corpus[corpus].variants
        for name in params.per_corpus[corpus].variants:
            here, there = (params.settings(each, name, "bert") for each in (corpus, "mosi"))
            train = dict(here.train), dict(there.train)
            changed = {key for key in train[0] if train[0][key] != train[1][key]}
            assert here.model != there.model or {"batch_size", "learning_rate"} & changed
            assert there.model == params.variants[name].peer or not params.variants[name].peer


def test_a_corpus_changes_the_rounds_of_the_measurement():
    params = load(ROOT, {"complexity": {"repeats": 5}})
    assert params.complexity_of("mosi").repeats == 5
    assert params.complexity_of("sample").repeats == 1
    assert load(ROOT, {"complexity": None}).complexity_of("sample") is None


def test_an_overlay_takes_an_experiment_away_with_null():
    more = {"title": "T", "variants": ["hycon"], "encoders": ["bert"]}
    overlay = {"experiments": {**OTHERS, "main": None, "more": more}}
    assert list(load(ROOT, overlay).experiments) == ["more"]
    main = load(ROOT, {"experiments": {"modalities": None}}).experiments["main"]
    assert main.controls is None
    assert "experiments: found" in refused({"experiments": {**OTHERS, "main": None}})


def test_an_experiment_of_the_first_encoder_only_takes_the_first_that_the_corpus_has_input_for():
    params = load(ROOT)
    assert params.experiments["ablation"].encoders == ["bert", "glove"]
    assert params.encoders_of("ablation", "mosi") == ["bert"]
    assert params.encoders_of("ablation", "iemocap") == ["glove"]
    assert params.encoders_of("main", "mosi") == ["glove", "bert", "xlnet"]
    assert len(params.rows("ablation", "iemocap")) == 9


@pytest.mark.parametrize("path", sorted(ROOT.glob("config/*.yaml")), ids=lambda path: path.stem)
def test_every_overlay_is_valid_and_says_what_it_reproduces_how_what_it_costs_and_gives(path):
    overlay = with_those_below(path)
    assert load(ROOT, overlay).corpora == overlay["corpora"]
    head = path.read_text().split("\ncorpora:")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert "snakemake --cores" in head
    assert re.search(rf"--configfile (config/\S+ )?config/{path.name}", head)
    assert "\n# Cost: " in head
    assert "\n# Expect" in head


def test_two_rows_of_one_name_are_refused():
    bert = {"label": "x", "kind": "transformer", "model": "tiny:bert"}
    said = refused({"encoders": {"v2-bert": bert}})
    assert "would both be called hycon-v2-bert; rename one" in said


def test_nested_values_of_the_command_line_are_read_as_what_they_look_like():
    given = {
        "seeds": ["1", "2"],
        "train": {"refinement": "false", "selection": "null"},
        "x": "a: {",
    }
    assert read_texts(given) == {
        "seeds": [1, 2],
        "train": {"refinement": False, "selection": None},
        "x": "a: {",
    }


def test_what_only_describes_a_corpus_or_an_encoder_is_no_input_of_its_numbers():
    corpus, encoder = load(ROOT).catalogue["mosi"], load(ROOT).encoders["bert"]
    described = {"title": "another", "note": "n", "mirrors": ["http://x"], "licence": "l"}
    assert corpus.model_copy(update=described).as_input() == corpus.as_input()
    assert encoder.model_copy(update={"label": "x"}).as_input() == encoder.as_input()
    assert encoder.model_copy(update={"max_tokens": 9}).as_input() != encoder.as_input()


def test_rows_of_an_experiment_go_by_encoder_and_then_by_variant():
    assert load(ROOT).rows("main", "sample")[:4] == [
        ("hycon", "glove"),
        ("hycon-v2", "glove"),
        ("no-contrastive", "glove"),
        ("hycon", "bert"),
    ]


def test_settings_are_changed_by_corpus_then_encoder_then_the_variant_that_one_is_of():
    def rate(**overlay):
        tables = {
            "per_corpus": {"mosi": {"train": {"learning_rate": 1}}},
            "per_encoder": {"bert": {"train": {"learning_rate": 2}}},
            "variants": {
                "hycon-v2": {"train": {"learning_rate": 3}},
                "graph": {"train": {"learning_rate": 4}},
            },
        }
        chosen = {name: tables[name] for name in overlay}
        if overlay.get("variants") == "parent":
            chosen["variants"] = {"hycon-v2": tables["variants"]["hycon-v2"]}
        return load(ROOT, chosen).settings("mosi", "graph", "bert").train.learning_rate

    assert rate(per_corpus=1) == 1
    assert rate(per_corpus=1, per_encoder=1) == 2
    assert rate(per_corpus=1, per_encoder=1, variants="parent") == 3
    assert rate(per_corpus=1, per_encoder=1, variants="both") == 4
    other = load(ROOT, {"per_encoder": {"bert": {"train": {"learning_rate": 2}}}})
    assert other.settings("mosi", "graph", "glove").train.learning_rate == 5e-4


def test_what_belongs_to_fine_tuning_is_no_setting_of_a_cached_encoder():
    params = load(ROOT, {"encoders": {"xlnet": {"finetune": True}}})
    assert params.settings("mosi", "hycon", "bert").train.finetuning is None
    assert params.settings("mosi", "hycon", "xlnet").train.finetuning.learning_rate == 2e-5


def test_what_a_variant_switches_off_is_not_searched_over():
    def keys(variant):
        params = load(ROOT, {"tuning": {"variants": [variant]}})
        return set(params.tuning_of("sample", variant)[0].space)

    contrastive = {f"train.lambdas.{name}" for name in ("intra", "inter", "semi")}
    selection = {"train.selection.beta", "train.selection.gamma"}
    assert keys("hycon-v2") >= contrastive | selection | {"train.alpha"}
    assert keys("hycon") == keys("hycon-v2") - selection
    assert keys("without-semi") == keys("hycon-v2") - {"train.lambdas.semi"}
    assert keys("no-contrastive") == keys("hycon") - contrastive - {"train.alpha"}


def test_a_space_that_does_not_fit_the_network_keeps_nobody_from_training():
    load(ROOT, {"model": {"dimension": 64, "heads": 8}})


def test_tuning_with_word_vectors_where_there_are_none_is_refused():
    params = load(ROOT, {"tuning": {"encoder": "glove"}})
    with pytest.raises(ValueError, match=r"tuning\.encoder: glove needs word vectors"):
        params.tuning_of("mosi-utterance", "hycon-v2")


def test_what_takes_no_part_is_no_setting():
    params = load(ROOT)
    assert params.settings("mosi", "graph", "bert").model.rank is None
    assert params.settings("mosi", "low-rank", "bert").model.rank == 4
    assert params.settings("sample", "hycon", "bert").train.emotion_decision is None
    emotions = params.settings("sample-emotion", "hycon", "bert")
    assert emotions.train.emotion_decision == "one-against-rest"


def test_what_is_tuned_goes_where_it_is_set_last():
    overlay = {
        "tuning": {"variants": ["graph"]},
        "per_encoder": {"bert": {"train": {"batch_size": 8}}},
        "variants": {"graph": {"train": {"alpha": 0.7, "clip_norm": None}}},
    }
    overlay["tuning"]["space"] = {"train.clip_norm": [None, 1.0]}
    _, places = load(ROOT, overlay).tuning_of("mosi", "graph")
    found = {key: ".".join(path) for key, path in places.items()}
    assert found["train.learning_rate"] == "per_corpus.mosi.train.learning_rate"
    assert found["train.batch_size"] == "per_encoder.bert.train.batch_size"
    assert found["train.selection.beta"] == "variants.hycon-v2.train.selection.beta"
    assert found["train.alpha"] == "variants.graph.train.alpha"
    assert found["train.clip_norm"] == "variants.graph.train.clip_norm"
    overlay |= on_mosi({"graph": {"train": {"alpha": 0.6}}, "hycon-v2": {"train": {"epochs": 3}}})
    for chosen in (["graph"], ["graph", "hycon"]):
        overlay["tuning"]["variants"] = chosen
        _, places = load(ROOT, overlay).tuning_of("mosi", "graph")
        assert places["train.alpha"] == [
            "per_corpus",
            "mosi",
            "variants",
            "graph",
            "train",
            "alpha",
        ]


def test_what_is_tuned_of_several_rows_goes_to_each_row():
    rows = ["hycon", "text-only"]
    params = load(ROOT, {"tuning": {"variants": rows}})
    for row in rows:
        tuning, places = params.tuning_of("sample", row)
        assert tuning.variants == [row]
        assert places["train.learning_rate"] == ["variants", row, "train", "learning_rate"]
        assert all(place[:2] == ["variants", row] for place in places.values())


def test_an_overlay_of_tuned_values_gives_the_settings_that_were_tried():
    params = load(ROOT)
    _, places = params.tuning_of("mosi", "hycon-v2")
    values = {"train.learning_rate": 0.00123, "train.selection.beta": 0.2, "model.dimension": 25}
    overlay = {}
    for key, value in values.items():
        for part in reversed(places[key]):
            value = {part: value}
        overlay = merge(overlay, value)
    found = load(ROOT, overlay).settings("mosi", "hycon-v2", "bert")
    assert found == override(params.settings("mosi", "hycon-v2", "bert"), values)


def test_a_peer_takes_the_place_of_the_network_in_the_same_training():
    overlay = {"per_corpus": {"mosi": {"model": {"layers": 1}, "train": {"epochs": 7}}}}
    params = load(ROOT, overlay)
    found = params.settings("mosi", "misa", "bert")
    assert found.model == params.variants["misa"].peer
    assert not any(found.train.lambdas.model_dump().values())
    assert found.train.selection is None
    assert (found.train.epochs, found.train.batch_size) == (7, 16)
    assert found.train.clip_norm == params.settings("mosi", "hycon", "bert").train.clip_norm
    assert Settings.model_validate_json(found.as_json()) == found


def test_a_peers_sizes_are_tuned_and_those_of_our_own_network_left_out():
    space = {"model.rank": [2, 4], "train.learning_rate": [1e-3]}
    params = load(ROOT, {"tuning": {"variants": ["lmf"], "space": space}})
    tuning, places = params.tuning_of("mosi", "lmf")
    assert set(tuning.space) == {"train.learning_rate", "train.batch_size", "model.rank"}
    overlay = 4
    for part in reversed(places["model.rank"]):
        overlay = {part: overlay}
    tried = override(params.settings("mosi", "lmf", "bert"), {"model.rank": 4})
    assert tried.model.rank == 4
    assert load(ROOT, overlay).settings("mosi", "lmf", "bert") == tried
    here = {
        "tuning": {"variants": ["lmf"], "space": space},
        **on_mosi({"lmf": {"peer": {"rank": 2}}}),
    }
    _, places = load(ROOT, here).tuning_of("mosi", "lmf")
    assert places["model.rank"] == ["per_corpus", "mosi", "variants", "lmf", "peer", "rank"]


def test_a_variant_of_one_modality_has_no_loss_across_modalities():
    overlay = {
        "variants": {
            "one": {"label": "Text", "model": {"modalities": ["text"]}},
            "two": {"label": "Two", "model": {"modalities": ["vision", "text"]}},
            "none": {"label": "Constant", "model": {"modalities": []}},
        }
    }
    params = load(ROOT, overlay)
    lambdas = {
        name: params.settings("mosi", name, "glove").train.lambdas.model_dump()
        for name in overlay["variants"]
    }
    assert lambdas == {
        "one": {"intra": 0.1, "inter": 0.0, "semi": 0.0},
        "two": {"intra": 0.1, "inter": 0.1, "semi": 0.1},
        "none": {"intra": 0.0, "inter": 0.0, "semi": 0.0},
    }
    two = params.settings("sample", "two", "glove").model
    assert two.modalities == ["text", "vision"]
    # alpha changes nothing then, so that another alpha trains nothing
    assert params.settings("sample", "one", "glove").train.alpha is None
