# What `dvc plots` draws: helpers of the rule `aggregate`.


def first_rows(corpus):
    """Return the rows of a corpus's first experiment, whose training is drawn."""
    return rows_of(experiments_of(corpus)[0], corpus)


def panel(corpus, row):
    """Return what a row's picture is called."""
    variant, encoder = ROWS[row]
    return f"{corpus}: {PARAMS.variants[variant].label}, {encoder_label(corpus, encoder)}"


def curve_points(corpus):
    """Return the points of a corpus's curves, each a row at a value of its parameter."""
    points = []
    for name in experiments_of(corpus):
        key = PARAMS.experiments[name].curve
        for row in rows_of(name, corpus) if key else []:
            x = setting_at(settings_of(Row(corpus, row)), key)
            for metric in headline(corpus):
                about = f"{corpus}: {metric} over {key}, {encoder_label(corpus, ROWS[row][1])}"
                path = f"results/runs/{corpus}/{row}/scores.json"
                points.append({"panel": about, "x": x, "metric": metric, "scores": path})
    return sorted(points, key=lambda point: (point["panel"], point["x"]))


def plots_plan():
    """Return what is plotted, for the stage `aggregate`."""

    def runs(corpus, row):
        folders = [run_folder(row, seed, corpus) for seed in PARAMS.seeds]
        return {"panel": panel(corpus, row), "runs": folders}

    return {
        "curves": [point for corpus in PARAMS.corpora for point in curve_points(corpus)],
        "training": [runs(corpus, row) for corpus in PARAMS.corpora for row in first_rows(corpus)],
        "confusion": [
            runs(corpus, first_rows(corpus)[0])
            | {"corpus": corpus_json(Row(corpus, None)), "aligned": f"data/aligned/{corpus}"}
            for corpus in PARAMS.corpora
        ],
    }


def plotted_files():
    """Return the files that plots read, besides scores."""
    runs = [
        f"results/runs/{corpus}/{row}/runs.json"
        for corpus in PARAMS.corpora
        for row in first_rows(corpus)
    ]
    return [*runs, *[f"data/aligned/{corpus}/utterances.csv" for corpus in PARAMS.corpora]]
