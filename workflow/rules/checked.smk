# Results in git change with every checkout, and Snakemake does not look into what it has made: its
# record may say that a table is up to date while another commit's lies there. Each says by a digest
# which parameters it is made of; one that is not made of the scores beside it is made anew.


def stamped():
    """Yield each result that is in git, the digest in it, and that of each of its rows' scores."""
    for corpus in PARAMS.corpora:
        for table in tables_of(corpus):
            wildcards = Shown(corpus, table.removesuffix("-differences"))
            path = Path(f"results/{corpus}/tables/{table}.md")
            if table == "complexity":
                expected = expected_of(corpus, measured_rows(corpus))
                yield path, measured_digest(wildcards), expected
                yield Path(f"results/{corpus}/complexity.json"), measured_digest(
                    wildcards
                ), expected
                continue
            of = {"published": published_expected}.get(
                table, compared_expected if table != wildcards.experiment else experiment_expected
            )
            expected = json.loads(of(wildcards))
            yield path, digest_of(expected), expected
        for figure in figures_of(corpus):
            expected = json.loads(drawn_expected(Shown(corpus, *figure.rsplit("-", 2))))
            yield Path(f"results/{corpus}/figures/{figure}.txt"), digest_of(expected), expected
    yield Path("results/parameters.json"), json.dumps(all_expected(), indent=1), all_expected()


class Shown(NamedTuple):
    """A table or a figure, where a rule's wildcards do not name one."""

    corpus: str
    experiment: str
    kind: str | None = None
    encoder: str | None = None


@functools.cache
def digest_in(path):
    """Return the digest of parameters in a scores.json, None if there is none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))["parameters digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def strangers():
    """Return the results that are not made of the scores beside them, though those are up to date."""
    return [
        path
        for path, digest, expected in stamped()
        if path.exists()
        and digest not in path.read_text(encoding="utf-8")
        and all(digest_in(scores) == found for scores, found in expected.items())
    ]


# a look changes nothing
LOOKS = r"-[a-zA-Z]*n[a-zA-Z]*|--(dry-?run|(detailed-)?summary|lint|list.*|rulegraph|filegraph|dag|d3dag)"
LOOKS += r"|--(report.*|unlock)"
if found := strangers():
    looks = any(re.fullmatch(LOOKS, argument) for argument in sys.argv[1:])
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    what = "a real run makes them anew" if looks else "made anew"
    print(f"{found[0]}{more}: not made of the runs here; {what}", file=sys.stderr)
    for path in [] if looks else found:
        path.unlink()
