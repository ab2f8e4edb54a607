# HyCon, reproduced: the table of contents. What a step does is in hycon/; its parameters are in
# params.yaml and corpora.yaml.
include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/shown.smk"
include: "workflow/rules/plotted.smk"
include: "workflow/rules/planned.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/evidence.smk"
include: "workflow/rules/made.smk"


report: "workflow/report/workflow.rst"


# the evidence, and the runs and features that it stands on
rule all:
    default_target: True
    input:
        rules.evidence.input,
        rules.runs.input,
        rules.features.input,
