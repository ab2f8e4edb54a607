"""The documentation's page of claims and README.md's table are those of the tables in results."""

import shutil

from hycon.reporting import claims_docs
from tests.reporting.claims_tables import judged, write_claims
from tests.test_params import ROOT

ADVICE = "run `python -m hycon.reporting.claims_docs`"


def test_both_files_are_up_to_date():
    corpora = claims_docs.committed(ROOT)
    for page, content in (
        (claims_docs.README, claims_docs.block(corpora)),
        (claims_docs.SUMMARY, claims_docs.summary(corpora)),
    ):
        text = (ROOT / page).read_text()
        assert claims_docs.filled(text, content) == text, ADVICE
        assert content in text, ADVICE
    assert claims_docs.page(corpora, ROOT) == (ROOT / claims_docs.PAGE).read_text(), ADVICE


def project(folder):
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_without_a_table_nothing_is_judged(tmp_path):
    corpora = claims_docs.committed(project(tmp_path))
    assert corpora == []
    assert claims_docs.NOTHING in claims_docs.page(corpora, tmp_path)
    text = "Before.\n<!-- claims -->\nold\n<!-- /claims -->\nAfter.\n"
    found = claims_docs.filled(text, claims_docs.block(corpora))
    assert found == text.replace("old\n", claims_docs.NOTHING)
    assert claims_docs.filled(found, claims_docs.block(corpora)) == found
    assert claims_docs.summary(corpora) == claims_docs.NOTHING


def test_the_page_has_every_corpus_and_the_rule_once_and_the_readme_no_sample(tmp_path):
    for key in ("sample", "mosi-utterance"):
        write_claims(
            project(tmp_path) / f"results/{key}/tables",
            judged("contrastive-learning", "undecided", ("None", -0.01, 0.05)),
            judged("b", "contradicted", ("None", 0.1, 0.05)),
            judged("c", "contradicted", ("None", 0.1, 0.05)),
        )
    corpora = claims_docs.committed(tmp_path)
    page = claims_docs.page(corpora, tmp_path)
    assert "\n## Sample (generated) – sample numbers\n" in page
    assert "\n## CMU-MOSI, utterance-level audio and face features\n" in page
    assert page.count(claims_docs.NOTE) == 1
    found = " ".join(claims_docs.block(corpora).split())
    assert "ample" not in found
    assert (
        "Claim contrastive-learning: **undecided** with MiniLM (HyCon – None -0.010 "
        "[-0.060, +0.040], n = 5" in found
    )
    assert "Other claims: 2 contradicted." in found
    assert "MAE all, margin 0.020" in found


def test_tables_of_other_overlays_are_added_and_what_ran_in_one_is_not_missing_in_another(tmp_path):
    folder = project(tmp_path) / "results/mosi-utterance/tables"
    write_claims(
        folder,
        judged("contrastive-learning", "undecided", ("None", -0.01, 0.05)),
        judged("b", "not run"),
    )
    write_claims(
        folder,
        judged("contrastive-learning", "supported", ("None", -0.1, 0.05), text_encoder="Tuned",
               preregistered="yes"),
        judged("b", "contradicted", ("None", 0.1, 0.05), text_encoder="Tuned"),
        judged("c", "not run"),
        name="claims-finetuned",
    )  # fmt: skip
    (found,) = claims_docs.committed(tmp_path)
    verdicts = [(each.name, each.encoder, each.verdict) for each in found.judged]
    assert verdicts == [
        ("contrastive-learning", "MiniLM", "undecided"),
        ("contrastive-learning", "Tuned", "supported"),
        ("b", "Tuned", "contradicted"),
        ("c", "MiniLM", "not run"),
    ]
    text = " ".join(claims_docs.block([found]).split())
    assert "**supported** with Tuned (HyCon – None -0.100 [-0.150, -0.050], n = 5, prereg" in text
    assert claims_docs.page([found], tmp_path).count("The paper's claims. Test fold.") == 2
    table = claims_docs.summary([found])
    assert "not run" not in table
    assert table.count("**") == 2 * 3
