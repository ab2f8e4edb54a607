# Results in git change with every checkout, and Snakemake does not look into what it has made: its
# record may say that a table is up to date while another commit's lies there. Each says by a digest
# which parameters it is made of; one that is not made of the scores beside it is made anew.


class Shown(NamedTuple):
    """A table or a figure, where a rule's wildcards do not name one."""

    corpus: str
    experiment: str
    kind: str | None = None
    encoder: str | None = None


def stamped():
    """Yield each result that is in git, the digest in it, and that of each of its rows' scores."""
    for corpus in PARAMS.corpora:
        for table in tables_of(corpus):
            digest, expected = table_digests(corpus, table)
            yield Path(f"results/{corpus}/tables/{table}.md"), digest, expected
            if table == "complexity":
                yield Path(f"results/{corpus}/complexity.json"), digest, expected
        for parts in figure_parts(corpus):
            expected = json.loads(drawn_expected(Shown(corpus, *parts)))
            path = Path(f"results/{corpus}/figures/{'-'.join(parts)}.txt")
            yield path, digest_of(expected), expected
    yield Path("results/parameters.json"), json.dumps(all_expected(), indent=1), all_expected()


def table_digests(corpus, table):
    """Return the digest in a table, and that of each of its rows' scores."""
    shown = Shown(corpus, table)
    if table == "complexity":
        return measured_digest(shown), expected_of(corpus, measured_rows(corpus))
    if table == "published":
        expected = published_expected(shown)
    elif table in PARAMS.experiments:
        expected = experiment_expected(shown)
    else:
        expected = compared_expected(Shown(corpus, table.removesuffix("-differences")))
    return digest_of(json.loads(expected)), json.loads(expected)


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
