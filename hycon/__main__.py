"""The command `hycon`. What Snakemake calls is in `hycon.stages`."""

import importlib
import sys
from pathlib import Path

from hycon.errors import HyConError
from hycon.logs import USER_ERROR, copied_to, ending_well

COMMANDS = {
    "audit": "show what runs report if epochs or seeds are chosen on the test fold",
    "compare": "test whether systems differ, from their predictions",
    "corpora": "list the corpora and the state of their files",
    "export": "write an aligned corpus for another framework",
    "predict": "predict with a trained run on other utterances",
    "score": "compute every metric of predictions, under every convention",
    "show": "print the tables of the last run",
    "verify": "compare the last run's numbers with the committed ones",
}
# these need no project
ANYWHERE = ("audit", "compare", "score")


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        wanted = name in ("", "-h", "--help")
        print(
            "usage: hycon COMMAND [--help]\n\n"
            + "".join(f"  {command:<9} {what}\n" for command, what in COMMANDS.items()),
            end="",
            file=sys.stdout if wanted else sys.stderr,
        )
        if not wanted:
            print(f"\nerror: unknown command {name}", file=sys.stderr)
        sys.exit(0 if wanted else USER_ERROR)
    here = name in ANYWHERE or Path("params.yaml").is_file()
    if not here and "--help" not in sys.argv:
        print("error: params.yaml: not found; run hycon in the project's folder", file=sys.stderr)
        sys.exit(USER_ERROR)
    with copied_to(None), ending_well():
        try:
            command = importlib.import_module(f"hycon.commands.{name}")
        except ModuleNotFoundError as error:
            advice = "pip install 'hycon[pipeline]'"
            raise HyConError(f"hycon {name} needs the package {error.name}: {advice}") from None
        command.main(sys.argv[2:])


if __name__ == "__main__":
    main()
