# HyCon, reproduced: the table of contents. hycon/stages has the code of each rule, hycon/plan the jobs;
# parameters are in params.yaml and corpora.yaml.
include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/evidence.smk"


report: "workflow/report/workflow.rst"


# the evidence, and the runs and features that it needs
rule all:
    default_target: True
    input:
        files("evidence"),
        files("runs"),
        files("features"),
