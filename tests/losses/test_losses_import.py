import subprocess
import sys

HEAVY = (
    "snakemake", "dvc", "mmsdk", "transformers", "pandas", "sklearn", "matplotlib", "optuna",
    "pytorch_metric_learning",
)  # fmt: skip


def test_the_losses_need_no_more_than_torch():
    code = f"import sys, hycon.losses; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
