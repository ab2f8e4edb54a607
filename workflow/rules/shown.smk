# What tables and figures show and read: helpers of evidence.smk.


def metrics_plan():
    return {
        corpus: {experiment: scores_of(corpus, experiment) for experiment in experiments_of(corpus)}
        for corpus in PARAMS.corpora
    }


def all_expected():
    """Return the digest that the scores of every row must have, by their path."""
    return {
        path: digest
        for corpus in PARAMS.corpora
        for name in experiments_of(corpus)
        for path, digest in expected_of(corpus, rows_of(name, corpus)).items()
    }


def headline(corpus):
    """Return the two metrics that stand for all of a corpus where there is little room."""
    return ["acc", "f1"] if PARAMS.catalogue[corpus].emotions else ["mae_all", "acc2_pos"]


def experiment_expected(wildcards):
    rows = rows_of(wildcards.experiment, wildcards.corpus)
    return json.dumps(expected_of(wildcards.corpus, rows))


def table_rows(wildcards):
    """Return an experiment's rows as JSON: model, text encoder, path of the scores."""
    paths = scores_of(wildcards.corpus, wildcards.experiment)
    rows = [
        [PARAMS.variants[variant].label, encoder_label(wildcards.corpus, encoder), path]
        for (variant, encoder), path in zip(
            PARAMS.rows(wildcards.experiment, wildcards.corpus), paths.values(), strict=True
        )
    ]
    return json.dumps(rows)


def pairs_of(wildcards):
    """Return the rows that are compared with a reference, and its own, as (row, variant, encoder)."""
    reference = PARAMS.experiments[wildcards.experiment].reference
    return [
        (f"{variant}-{encoder}", f"{reference}-{encoder}", variant, encoder)
        for variant, encoder in PARAMS.rows(wildcards.experiment, wildcards.corpus)
        if variant != reference
    ]


def pairs_json(wildcards):
    """Return what the stage `compare` takes: model, text encoder, both scores."""
    folder = f"results/runs/{wildcards.corpus}"
    pairs = [
        [
            PARAMS.variants[variant].label,
            encoder_label(wildcards.corpus, encoder),
            f"{folder}/{row}/scores.json",
            f"{folder}/{reference}/scores.json",
        ]
        for row, reference, variant, encoder in pairs_of(wildcards)
    ]
    return json.dumps(pairs)


def compared_of(wildcards):
    """Return what a comparison reads: scores, and the record of runs, for their predictions."""
    rows = {row for pair in pairs_of(wildcards) for row in pair[:2]}
    return [
        path
        for row in sorted(rows)
        for path in [
            f"results/runs/{wildcards.corpus}/{row}/scores.json",
            f"results/runs/{wildcards.corpus}/{row}/runs.json",
        ]
    ]


def compared_expected(wildcards):
    rows = {row for pair in pairs_of(wildcards) for row in pair[:2]}
    return json.dumps(expected_of(wildcards.corpus, sorted(rows)))


def tables_of(corpus):
    """Return the names of a corpus's tables: experiments, each against its reference, published."""
    names = []
    for name in experiments_of(corpus):
        reference = PARAMS.experiments[name].reference
        variants = {variant for variant, _ in PARAMS.rows(name, corpus)}
        compared = reference in variants and len(variants) > 1
        names += [name, *([f"{name}-differences"] if compared else [])]
    if any(published.corpus == corpus for published in PUBLISHED):
        names.append("published")
    return [*names, *(["complexity"] if PARAMS.complexity and measured_rows(corpus) else [])]


def measured_rows(corpus):
    """Return the rows whose cost is measured, each once."""
    measured = [name for name in experiments_of(corpus) if PARAMS.experiments[name].costs]
    return list(dict.fromkeys(row for name in measured for row in rows_of(name, corpus)))


def measured_labels(wildcards):
    """Return what a table calls the rows whose cost is measured, by row: model, text encoder."""
    return json.dumps(
        {
            name: [
                PARAMS.variants[ROWS[name][0]].label,
                encoder_label(wildcards.corpus, ROWS[name][1]),
            ]
            for name in measured_rows(wildcards.corpus)
        }
    )


def measured_files(wildcards):
    """Return the files that measuring reads: those that training its rows does."""
    files = {}
    for row in measured_rows(wildcards.corpus):
        files |= dict.fromkeys(features_of(Row(wildcards.corpus, row)))
    return list(files)


def measured_json(wildcards):
    """Return what the stage `complexity` takes: names, settings, encoder, states, tiny model."""
    rows = []
    for name in measured_rows(wildcards.corpus):
        row, encoder = Row(wildcards.corpus, name), ROWS[name][1]
        tiny = PARAMS.encoders[encoder].tiny
        rows.append(
            [
                name,
                encoder,
                settings_of(row).as_cost(),
                encoder_json(row),
                states_folder(row),
                tiny_folder(row) if tiny else None,
            ]
        )
    return json.dumps(rows)


def figures_of(corpus):
    """Return the names of a corpus's figures, EXPERIMENT-curve-ENCODER or EXPERIMENT-tsne-ENCODER."""
    names = []
    for name in experiments_of(corpus):
        experiment, rows = PARAMS.experiments[name], PARAMS.rows(name, corpus)
        drawn = ["curve"] if experiment.curve else []
        drawn += ["tsne"] if set(experiment.tsne or ["none"]) <= {row[0] for row in rows} else []
        encoders = dict.fromkeys(encoder for _, encoder in rows)
        names += [f"{name}-{kind}-{encoder}" for kind in drawn for encoder in encoders]
    return names


def drawn_rows(wildcards):
    """Return label and row of what a figure shows: an experiment's variants, or the two of t-SNE."""
    experiment = PARAMS.experiments[wildcards.experiment]
    curve = wildcards.kind == "curve"
    variants = PARAMS.variants_of(wildcards.experiment) if curve else experiment.tsne
    return [(variant, f"{variant}-{wildcards.encoder}") for variant in variants]


def drawn_files(wildcards):
    """Return the files that a figure reads."""
    folder = f"results/runs/{wildcards.corpus}"
    scores = [f"{folder}/{row}/scores.json" for _, row in drawn_rows(wildcards)]
    if wildcards.kind == "curve":
        return scores
    aligned = f"data/aligned/{wildcards.corpus}/utterances.csv"
    runs = [f"{folder}/{row}/runs.json" for _, row in drawn_rows(wildcards)]
    return [*scores, aligned, *runs]


def drawn_expected(wildcards):
    rows = [row for _, row in drawn_rows(wildcards)]
    return json.dumps(expected_of(wildcards.corpus, rows))


def drawing(wildcards):
    """Return the options of the stage `figures` for a figure."""
    experiment, corpus = PARAMS.experiments[wildcards.experiment], wildcards.corpus
    rows = drawn_rows(wildcards)
    title = f"{experiment.title}. Text encoder: {encoder_label(corpus, wildcards.encoder)}"
    if wildcards.kind == "curve":
        points = [
            [setting_at(PARAMS.settings(corpus, *ROWS[row]), experiment.curve), path]
            for (_, row), path in zip(rows, drawn_files(wildcards), strict=True)
        ]
        options = {"rows": json.dumps(sorted(points)), "metrics": json.dumps(headline(corpus))}
        options["x-label"] = experiment.curve.split(".")[-1]
    else:
        runs = [
            [PARAMS.variants[variant].label, run_folder(row, PARAMS.seeds[0], corpus)]
            for variant, row in rows
        ]
        options = {"runs": json.dumps(runs), "aligned": f"data/aligned/{corpus}", "seed": "0"}
        title = f"Multimodal representations with and without contrastive learning. {title}"
    options |= {"title": title, "key": corpus, "corpus": corpus_of(wildcards).as_json()}
    return " ".join(f"--{key}={shlex.quote(value)}" for key, value in options.items())


def published_scores(wildcards):
    """Return the path of the scores of each row that a published one is held against."""
    rows = {
        row for name in experiments_of(wildcards.corpus) for row in rows_of(name, wildcards.corpus)
    }
    return {
        each.row: f"results/runs/{wildcards.corpus}/{each.row}/scores.json"
        for each in PUBLISHED
        if each.corpus == wildcards.corpus and each.row in rows
    }


def published_expected(wildcards):
    return json.dumps(expected_of(wildcards.corpus, published_scores(wildcards)))


def published_json(wildcards):
    """Return the published rows of a corpus."""
    rows = [each for each in PUBLISHED if each.corpus == wildcards.corpus]
    return json.dumps([each.model_dump() for each in rows])


def encoder_label(corpus, encoder):
    """Return what a table calls a text encoder; vectors are what the corpus has."""
    chosen = PARAMS.encoders[encoder]
    return PARAMS.catalogue[corpus].vectors if chosen.kind == "vectors" else chosen.label


def left_out(wildcards):
    """Return why text encoders of an experiment have no rows on this corpus; "" if all have."""
    experiment = PARAMS.experiments[wildcards.experiment]
    tried = experiment.encoders
    if experiment.first_encoder_only:
        tried = tried[: tried.index(PARAMS.encoders_of(wildcards.experiment, wildcards.corpus)[0])]
    reasons = [PARAMS.unusable(wildcards.corpus, encoder) for encoder in tried]
    there = PARAMS.variants_of(wildcards.experiment)
    gone = [PARAMS.variants[name].label for name in experiment.variants if name not in there]
    if gone:
        reasons.append(f"{', '.join(gone)} ({MISSING})")
    return "; ".join(filter(None, reasons))


def adaptations(wildcards):
    """Return what was adapted of an experiment's peers; "" if it has none."""
    changed = {}
    for name in PARAMS.variants_of(wildcards.experiment):
        variant = PARAMS.variants[name]
        if variant.peer:
            changed.setdefault(ADAPTED[variant.peer.network], []).append(variant.label)
    if not changed:
        return ""
    each = "; ".join(f"{', '.join(labels)}: {what}" for what, labels in changed.items())
    return f"Peers are networks of the package MMSA in this training. Adapted: {each}."
