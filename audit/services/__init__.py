"""Verbs of the trail: note what was denied, seal what was entered, verify it, prove it to others."""

from audit.services.anchors import mail_anchor
from audit.services.denials import record_denial
from audit.services.evidence import note_evidence
from audit.services.proofs import archive
from audit.services.sealing import SealReport, seal
from audit.services.verification import Anchor, Finding, VerificationReport, anchors_in, verify

__all__ = [
    "Anchor",
    "Finding",
    "SealReport",
    "VerificationReport",
    "anchors_in",
    "archive",
    "mail_anchor",
    "note_evidence",
    "record_denial",
    "seal",
    "verify",
]
