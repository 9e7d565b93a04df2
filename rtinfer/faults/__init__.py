"""Fault injection: one scenario language, played on a virtual loop or against a live service.

docs/fault-language.md says what a scenario may hold.
"""

from rtinfer.faults.kinds import KINDS, Fault
from rtinfer.faults.scenario import Scenario, Window, load_scenario
from rtinfer.faults.ticks import Outcome

__all__ = ["KINDS", "Fault", "Outcome", "Scenario", "Window", "load_scenario"]
