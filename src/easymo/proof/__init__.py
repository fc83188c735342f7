"""The judge: it starts a system, measures it without and with a change, and says *kept*, *broken* or *inconclusive*.

What a program may call. Wings, from the top: `prove` uses `session/` (one run) and `accepted/` (accepted runs);
`report/` draws them; `system/` is what is measured; `verdict/` is pure: numbers in, verdicts out.
"""

from easymo.proof.prove import prove
from easymo.proof.session.deployments import compare_deployments
from easymo.proof.session.two_runs import compare_runs
from easymo.proof.verdict.file import VerdictFile, read_verdict

__all__ = ["VerdictFile", "compare_deployments", "compare_runs", "prove", "read_verdict"]
