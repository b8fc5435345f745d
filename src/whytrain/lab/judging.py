"""From the store to verdicts: as many looks at a claim as its numbers need, and its faults."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from whytrain.lab.claims import Cells, Claim, Fault
from whytrain.lab.execution import NotYetRun, PieceFailed, Results
from whytrain.lab.experiment import Request
from whytrain.lab.study import Study
from whytrain.lab.verdicts import Verdict

_log = logging.getLogger("whytrain")


@dataclass(frozen=True)
class Trial:
    """A claim, as it is or with a fault planted.

    Attributes:
        claim: The claim.
        preset: The preset, which says what numbers it needs.
        fault: What is planted, if anything.
    """

    claim: Claim
    preset: str
    fault: Fault | None = None

    def requests(self, look: int = 1) -> list[Request]:
        """The numbers that a look needs.

        Args:
            look: Its number, from 1.
        """
        other = self.fault and self.fault.requests
        return self.claim.at_look(look, (other or self.claim.requests)(self.preset))

    def verdict(self, results: Results) -> Verdict:
        """Judge by the numbers there are, with as many looks as are needed and can be had.

        Args:
            results: The numbers.

        Returns:
            The verdict. A check that fails has none, and costs no other claim its own.
        """
        verdict = Verdict(state="not run")
        try:
            for look in range(1, self.claim.looks + 1):
                verdict = self.claim.judge(self._cells(results, look), look)
                if not self.claim.needs_more(verdict):
                    break
        except PieceFailed as error:
            return self._without(verdict, "failed", f"it failed: {error}")
        except NotYetRun as error:
            return self._without(verdict, "not run", f"not run: {error}")
        except Exception as error:  # a study's bug must not cost the user the rest of the report
            _log.warning("the check of claim %r failed: %r", self.claim.id, error)
            why = f"the check failed: {type(error).__name__}: {error}"
            return Verdict(state="failed", note=why)
        return verdict

    def wants(self, verdict: Verdict) -> list[Request]:
        """The numbers that a further look needs, if there is to be one.

        Args:
            verdict: What the looks until now said.
        """
        more = verdict.state == "judged" and self.claim.needs_more(verdict)
        return self.requests(verdict.look + 1) if more else []

    def turned(self, verdict: Verdict) -> bool:
        """Whether a fault turned the verdict into the opposite of what is expected.

        Args:
            verdict: That on the claim with the fault.
        """
        opposite = "supported" if self.claim.expected == "contradicted" else "contradicted"
        return verdict.word == opposite

    def _cells(self, results: Results, look: int) -> Cells:
        cells = results.cells(self.requests(look))
        return self.fault.plant(cells) if self.fault else cells

    @staticmethod
    def _without(verdict: Verdict, state: str, why: str) -> Verdict:
        """The verdict until now, where there is one, or a state and its reason."""
        if verdict.findings:
            note = "; ".join(filter(None, [verdict.note, f"more runs are missing, {why}"]))
            return replace(verdict, note=note)
        return Verdict(state="failed" if state == "failed" else "not run", note=why)


def trials(study: Study, preset: str, *, faults: bool = False) -> list[Trial]:
    """All claims of a study, or all of its planted faults.

    Args:
        study: The study.
        preset: The preset.
        faults: Whether the faults are meant.
    """
    if not faults:
        return [Trial(claim, preset) for claim in study.claims]
    return [Trial(claim, preset, fault) for claim in study.claims for fault in claim.faults]


def undecided(those: Iterable[Trial], results: Results) -> list[Request]:
    """What further looks need that have not been taken.

    Args:
        those: Claims.
        results: The numbers there are.
    """
    return [request for trial in those for request in trial.wants(trial.verdict(results))]
