# Results of another version, which a checkout or a hand has put in the place of what was made, are
# made anew.
from hycon.made import Outputs

# not in the jobs that an executor starts
if workflow.is_main_process and (strange := Outputs().check()):
    more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
    print(f"{strange[0]}{more}: not what was made here, so to be made anew", file=sys.stderr)


onsuccess:
    Outputs().remember()


onerror:
    Outputs().remember()
