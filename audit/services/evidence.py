"""Evidence packs: have the trail tell, and prove, what was handed out."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from audit.models import EvidencePack
from audit.services.sealing import seal


def note_evidence(*, entity_type: str, entity_id: str, timeline: str, at: datetime) -> EvidencePack:
    """Put on record that a pack was made, and seal that at once, so that the pack's own proof covers its page."""
    digest = sha256(timeline.encode()).hexdigest()
    pack = EvidencePack.objects.create(entity_type=entity_type, entity_id=entity_id, timeline=digest, made_at=at)
    seal(at=at)
    return pack
