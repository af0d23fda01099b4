"""The meaning of a report of pip-audit."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tools.audit import SKIPPED, SOUND, VULNERABLE, judge

OURS = {"name": "thrift-amqp-rpc", "skip_reason": "distribution marked as editable"}
UNKNOWN = {"name": "attrs", "skip_reason": "Dependency not found and could not be audited: attrs (26.1.0)"}
FINE: dict[str, Any] = {"name": "click", "version": "8.1", "vulns": []}
FLAWED: dict[str, Any] = {
    "name": "twisted",
    "version": "24.11",
    "vulns": [{"id": "CVE-1", "fix_versions": ["25.5"]}, {"id": "CVE-2", "fix_versions": []}],
}


class JudgeTests(SynchronousTestCase):
    """The verdict about a report."""

    def test_names_each_vulnerability(self) -> None:
        """With the version that mends it, also when other packages could not be looked up."""
        verdict = judge({"dependencies": [OURS, UNKNOWN, FINE, FLAWED]})
        self.assertEqual(verdict.status, VULNERABLE)
        self.assertEqual(
            verdict.text.splitlines(),
            [
                "2 known vulnerabilities:",
                "twisted 24.11: CVE-1, mended in 25.5",
                "twisted 24.11: CVE-2, mended in no version",
            ],
        )

    def test_names_the_packages_that_were_not_looked_up(self) -> None:
        """The others are sound."""
        verdict = judge({"dependencies": [OURS, UNKNOWN, FINE]})
        text = "no known vulnerability in 1 packages; not known to its source: attrs"
        self.assertEqual((verdict.status, verdict.text), (SOUND, text))
        self.assertEqual(judge({"dependencies": [OURS, FINE]}).text, "no known vulnerability in 1 packages")

    def test_is_skipped_when_nothing_was_looked_up(self) -> None:
        """pip-audit itself ends well then."""
        for packages in ([], [OURS], [OURS, UNKNOWN]):
            self.assertEqual(judge({"dependencies": packages}).status, SKIPPED)
