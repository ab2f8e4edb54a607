# HyCon, reproduced: the table of contents. What a rule does is in hycon/stages, and which jobs there
# are in hycon/plan; the parameters are in params.yaml and corpora.yaml.
include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/evidence.smk"


report: "workflow/report/workflow.rst"


# the evidence, and the runs and features that it stands on
rule all:
    default_target: True
    input:
        files("evidence"),
        files("runs"),
        files("features"),
