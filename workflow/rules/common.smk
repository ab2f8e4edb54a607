# Parameters are loaded and checked here, once, and the plan of all jobs is made of them
# (hycon/plan). Reading this file changes nothing in the folder.
import shlex
import sys

from snakemake.utils import min_version

# the code beside this Snakefile, whatever else is installed
sys.path.insert(0, str(workflow.basedir))

from hycon.plan.rules import Rules

min_version("9.10")

RULES = Rules(workflow, config)
PLAN = RULES.plan
reads, given, needs, files = RULES.reads, RULES.given, RULES.needs, RULES.files

# these change where a job runs and not what comes of it, so they are no rule's params
PYTHON = shlex.quote(sys.executable)
DEVICE = PLAN.params.device
# what a cluster is asked for; `auto` takes a GPU where one is, and cannot know it beforehand
GPU = int(DEVICE.startswith("cuda"))
# a cluster trains and scores a row in one job, unless its seeds are spread over several
GROUP = None if PLAN.params.seeds_per_job else "row"

# How every rule runs its stage. The job comes on standard input: an argument has a limit of 128 kB.
# `exec`: a request to end reaches the stage.
STAGE = (
    "exec {PYTHON} -m hycon.stages {rule} --device {DEVICE} --threads {threads} --log {log:q}"
    " <<'END_OF_JOB'\n{params.job}\nEND_OF_JOB"
)


wildcard_constraints:
    corpus="|".join(PLAN.params.catalogue),
    encoder="|".join(PLAN.params.encoders),
    row="|".join(PLAN.rows),
    block="|".join(PLAN.blocks),
    tiny="bert|xlnet",
    file=r"[^/]+(?<!\.sha256)",


onsuccess:
    RULES.after_a_run()


onerror:
    RULES.after_a_run()
