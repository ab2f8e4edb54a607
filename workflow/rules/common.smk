# Loads and validates the parameters, and plans all jobs (hycon/plan). Reading this file changes
# nothing in the folder.
import shlex
import sys

from snakemake.utils import min_version

# use the code in this folder, even if another version is installed
sys.path.insert(0, str(workflow.basedir))

from hycon.plan.rules import Rules

min_version("9.17")  # for priorities that are functions

RULES = Rules(workflow, config)
PLAN = RULES.plan
reads, given, needs, files = RULES.reads, RULES.given, RULES.needs, RULES.files
priority_of = RULES.priority

# not params of a rule, because they change where a job runs but not its result
PYTHON = shlex.quote(sys.executable)
DEVICE, FEATURES_IN = PLAN.params.device, PLAN.params.features_in
# GPUs to request from a cluster; `auto` requests none, because it cannot know whether there is one
GPU = int(DEVICE.startswith("cuda"))
# on a cluster one job trains and scores a row, unless its seeds are split into several
GROUP = None if PLAN.params.seeds_per_job else "row"

# The command of every rule. The job is on standard input, because an argument is limited to 128 kB.
# With `exec`, signals reach the stage.
STAGE = (
    "exec {PYTHON} -m hycon.stages {rule} --device {DEVICE} --features-in {FEATURES_IN}"
    " --threads {threads} --log {log:q} <<'END_OF_JOB'\n{params.job}\nEND_OF_JOB"
)


wildcard_constraints:
    corpus="|".join(PLAN.params.catalogue),
    encoder="|".join(PLAN.params.encoders),
    row="|".join(PLAN.rows),
    block="|".join(PLAN.blocks),
    tiny="bert|xlnet",
    file=r"[^/]+(?<!\.sha256)",


onstart:
    RULES.before_a_run()


onsuccess:
    RULES.after_a_run()


onerror:
    RULES.after_a_run()
