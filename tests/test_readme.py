"""What the README shows works."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def test_the_example_of_the_loss_runs_and_gives_gradients():
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (example,) = (text for text in examples if "hycon.losses" in text)
    code = f"{example}\nassert all(x.grad.abs().sum() > 0 for x in representations.values())"
    subprocess.run([sys.executable, "-c", code], check=True)
