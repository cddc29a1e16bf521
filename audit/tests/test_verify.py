from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from audit import services as audit
from audit.models import AuditEntry, Seal
from audit.services import arms, verification
from audit.tests import chains, forgeries
from audit.tests.forgeries import ask

FORGERIES = int(os.environ.get("SOAK_FORGERIES") or 250)  # `make soak`: 1,000


class TestAWholeTrail:
    def test_has_no_findings(self, shipment):
        chains.grown(shipment)

        report = audit.verify()

        assert report.findings == []
        assert (report.seals, report.entries) == (12, AuditEntry.objects.count())
        assert report.newest == chains.anchor()
        assert (report.waiting, report.waiting_since) == (0, "")

    def test_tells_what_waits_for_a_seal_and_since_when(self, shipment):
        chains.grown(shipment)
        chains.change(shipment, 3)

        report = audit.verify()

        assert report.is_sound
        assert report.waiting == 3
        assert report.waiting_since > "2026-"

    def test_is_sound_before_its_first_seal(self, shipment):
        report = audit.verify()

        assert report.is_sound
        assert (report.seals, report.newest) == (0, None)
        assert report.waiting == AuditEntry.objects.count()

    def test_says_up_to_where_anchors_prove_it(self, shipment):
        chains.grown(shipment, seals=4)
        anchor = chains.anchor()
        chains.change(shipment)
        audit.seal(at=chains.later(9))

        report = audit.verify(anchors=[anchor])

        assert report.is_sound
        assert (report.anchored, report.anchored_at[:10]) == (4, "2026-03-15")

    def test_remarks_on_a_clock_that_was_wrong_and_is_sound_all_the_same(self, shipment):
        for hours in (0, 30, 0.1, 0.2, 31, 0.3, 2, 24 * 60, 3, 5, 7):
            chains.change(shipment, 2)
            chains.roll_back(shipment)
            audit.seal(at=chains.later(hours))

        report = audit.verify(at=timezone.now())

        assert report.findings == []
        assert [remark.split(" says ")[0] for remark in report.remarks] == ["Seal 3", "Seal 6", "Seal 9"]
        assert chains.what_is_broken(chains.exported()) == ""

    def test_finds_that_sealing_stands_still(self, shipment):
        audit.seal(at=timezone.now())
        chains.change(shipment)
        since, ten = AuditEntry.objects.latest("pk").at, timedelta(minutes=10)

        assert audit.verify(at=since + ten).is_sound
        (finding,) = audit.verify(at=since + ten + timedelta(seconds=1)).findings
        assert finding.sentence.endswith("sealing stands still.")
        audit.seal(at=since + ten)
        assert audit.verify(at=since + 9 * ten).is_sound

    def test_is_read_in_pieces(self, shipment, monkeypatch):
        chains.grown(shipment)
        monkeypatch.setattr("audit.services.verification._SEALS_AT_A_TIME", 5)
        monkeypatch.setattr("audit.services.sealing._CHUNK", 7)

        report = audit.verify()

        assert report.is_sound
        assert report.entries == AuditEntry.objects.count()


# SQL of somebody who rules the server; what verification says of it, and the first broken seal.
FORGED = [
    ("UPDATE audit_auditentry SET reason = 'x' WHERE id = {id}", ["Seal 2 is broken: among entries {id}–"], 2),
    ("DELETE FROM audit_auditentry WHERE id = {id}", ["Seal 2 misses entry {id}."], 2),
    ("UPDATE audit_auditentry SET id = 0 WHERE id = {id}", ["Seal 2 misses entry {id}.", "No seal covers entry 0,"], 2),
    ("DELETE FROM audit_seal WHERE number = 1", ["Seal 1 is missing; seal 2 stands in its place."], 1),
    ("UPDATE audit_seal SET root = '' WHERE number = 3", ["Seal 3 was changed", "Seal 3 is broken"], 3),
    ("UPDATE audit_seal SET ranges = '7' WHERE number = 3", ["Seal 3 does not say when it was made, or which"], 3),
    ("UPDATE audit_seal SET number = 9 WHERE number = 4", ["Seal 4 is missing; seal 9 stands in its place."], 4),
]
DISARMED = [
    ("ALTER TABLE shipments_shipment DISABLE TRIGGER trail_update", "trail_update of shipments_shipment was changed"),
    ("ALTER TABLE shipments_shipment ENABLE TRIGGER trail_insert", "trail_insert of shipments_shipment was changed"),
    ("DROP TRIGGER trail_delete ON workflow_workflowstep", "trail_delete of workflow_workflowstep is missing"),
    ("ALTER TABLE audit_auditentry DISABLE TRIGGER append_only", "append_only of audit_auditentry was changed"),
    ("DROP FUNCTION audit_of_alerts_alert() CASCADE", "function audit_of_alerts_alert is missing"),
    ("ALTER FUNCTION audit_of_alerts_alert() RESET search_path", "function audit_of_alerts_alert was changed"),
    ("ALTER FUNCTION audit_of_alerts_alert() SECURITY INVOKER", "function audit_of_alerts_alert was changed"),
    (
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "function audit_refuse was changed",
    ),
    ("GRANT INSERT ON audit_auditentry TO {application}", "more with audit_auditentry than it should: INSERT"),
    ("GRANT UPDATE (root) ON audit_seal TO {application}", "more with audit_seal than it should: UPDATE"),
    ("GRANT USAGE ON SEQUENCE audit_auditentry_id_seq TO {application}", "more with audit_auditentry than it should"),
    ("GRANT DELETE ON shipments_historicalshipment TO {application}", "more with shipments_historicalshipment than"),
    ("GRANT UPDATE (codename) ON auth_permission TO {application}", "more with auth_permission than it should: UPDATE"),
    ("GRANT TRUNCATE ON outbox_carrier TO {application}", "more with outbox_carrier than it should: TRUNCATE"),
    ("CREATE TABLE mine (id int); GRANT ALL ON mine TO {application}", "more with mine than it should"),
    ("GRANT pg_write_all_data TO {application}", "The application's role is a member of others"),
    ("ALTER ROLE {application} CREATEROLE", "or has an attribute that it does not need"),
    ("CREATE RULE swallow AS ON INSERT TO audit_auditentry DO INSTEAD NOTHING", "The rule swallow of audit_auditentry"),
    ("CREATE RULE forget AS ON DELETE TO outbox_message DO INSTEAD NOTHING", "The rule forget of outbox_message is"),
    ("ALTER TABLE audit_seal ENABLE ROW LEVEL SECURITY", "The row security of audit_seal is none of ours"),
    ("CREATE POLICY hide ON shipments_shipment USING (id > 9)", "The policy hide of shipments_shipment is none"),
    (
        """CREATE TRIGGER swallow BEFORE UPDATE ON accounts_division FOR EACH ROW
            EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
        "The trigger swallow of accounts_division is none of ours",
    ),
    ("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "The function mine is none of ours"),
    (
        "CREATE SCHEMA other; CREATE FUNCTION other.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "The function other.mine is none of ours",
    ),
    (
        "CREATE FUNCTION audit_refuse(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "The function audit_refuse was changed",
    ),
    (
        """CREATE FUNCTION mine() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
            CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION mine()""",
        "The event trigger mine is none of ours",
    ),
    (
        "ALTER ROLE {application} SET clearance.context = '{{}}'",
        "The setting clearance.context of {application} is none of ours",
    ),
    ("ALTER ROLE ALL SET session_replication_role = replica", "The setting session_replication_role of every role"),
    ("GRANT EXECUTE ON FUNCTION audit_of_alerts_alert() TO {application}", "may call audit_of_alerts_alert"),
    (
        "CREATE TRIGGER another BEFORE INSERT ON audit_auditentry EXECUTE FUNCTION audit_refuse()",
        "another of audit_auditentry is none of ours",
    ),
]


@pytest.mark.django_db(transaction=True)
class TestWhatSomebodyWhoRulesTheServerDid:
    def test_is_found_whatever_it_is(self, shipment):
        chains.grown(shipment)
        anchor, application = chains.anchor(), connection.settings_dict["USER"]
        whole = chains.exported()
        missed = []

        with forgeries.ruling():
            forger = forgeries.Forger(seed=20)
            for number in range(FORGERIES):
                with forgeries.trying(application) as done:
                    with forgeries.forging():
                        forged = forger.forge(number)
                    done()
                    if audit.verify(anchors=[anchor] if forged.needs_anchor else []).is_sound:
                        missed.append(f"verify_audit: {forged.what}")
                    told = f"{anchor.number} {anchor.seal_hash}" if forged.needs_anchor else None
                    if forged.shows_in_export and not chains.what_is_broken(chains.exported(), told):
                        missed.append(f"verify_trail.py: {forged.what}")

        assert missed == []
        assert audit.verify(anchors=[anchor]).findings == []
        assert chains.exported() == whole

    def test_is_told_with_the_seals_and_the_entries(self, shipment):
        chains.grown(shipment, seals=4)
        application, sealed = connection.settings_dict["USER"], Seal.objects.get(number=2).ranges[0][0]
        unsaid = []

        with forgeries.ruling():
            for forge, sentences, first_broken in FORGED:
                with forgeries.trying(application) as done:
                    with forgeries.forging():
                        assert ask(f"{forge.format(id=sealed)} RETURNING 1")
                    done()
                    report = audit.verify()
                told = "\n".join(finding.sentence for finding in report.findings)
                unsaid += [(forge, told) for one in sentences if one.format(id=sealed) not in told]
                assert report.first_broken_seal == first_broken, forge

        assert unsaid == []

    def test_to_what_keeps_the_trail_is_told_too(self, db):
        application, unsaid = connection.settings_dict["USER"], []
        assert list(arms.disarmed()) == []

        with forgeries.ruling():
            for disarm, sentence in DISARMED:
                with forgeries.trying(application) as done:
                    with connection.cursor() as cursor:
                        cursor.execute(disarm.format(application=application))
                    done()
                    found = list(arms.disarmed())
                expected = sentence.format(application=application)
                unsaid += [] if any(expected in one for one in found) else [(disarm, found)]

        assert unsaid == []


class TestTheCommand:
    def test_says_what_is_proven_and_what_an_anchor_would_add(self, shipment, capsys):
        chains.grown(shipment, seals=3)

        call_command("verify_audit")

        out = capsys.readouterr().out
        assert f"{AuditEntry.objects.count()} entries in 3 seals verified." in out
        assert audit.anchors_in(out) == [chains.anchor()]
        assert "No anchor: whoever rules the server could have made the chain anew" in out

    def test_says_up_to_where_the_anchor_proves_it(self, shipment, tmp_path, capsys):
        chains.grown(shipment, seals=3)
        anchor = chains.anchor()
        (tmp_path / "anchor").write_text(f"clearance.audit: seal {anchor.number} {anchor.seal_hash}: 21 entries\n")

        call_command("verify_audit", anchor=tmp_path / "anchor")

        assert "Anchored up to seal 3 of 2026-03-15" in capsys.readouterr().out

    def test_fails_when_the_chain_is_not_the_anchored_one(self, shipment, tmp_path, capsys):
        chains.grown(shipment, seals=3)
        (tmp_path / "anchor").write_text(f"2 {'0' * 64}\n7 {'0' * 64}")

        with pytest.raises(CommandError, match="2 findings"):
            call_command("verify_audit", anchor=tmp_path / "anchor")

        out = capsys.readouterr().out
        assert "Seal 2 is not the one that was anchored" in out
        assert "Seal 7 is missing, and an anchor tells of it" in out
        assert "The first broken seal is 2." in out

    def test_fails_when_sealing_stands_still_and_counts_from_a_moment_that_is_given(self, shipment, capsys):
        audit.seal(at=timezone.now())
        chains.change(shipment)
        backup = AuditEntry.objects.latest("pk").at

        with pytest.raises(CommandError, match="1 findings"):
            call_command("verify_audit", at=backup + timedelta(days=7))
        assert "sealing stands still" in capsys.readouterr().out

        call_command("verify_audit", at=backup)
        call_command("verify_audit", "--at", f"{backup:%Y-%m-%dT%H:%M:%S+00:00}")

    def test_says_which_record_is_not_as_it_was_told(self, shipment, capsys, monkeypatch):
        monkeypatch.setattr(verification, "differences", lambda in_full: [f"Something; {in_full}"])
        audit.seal(at=timezone.now())

        with pytest.raises(CommandError, match="1 findings"):
            call_command("verify_audit", "--full")

        assert "Something; True" in capsys.readouterr().out

    def test_refuses_a_file_without_an_anchor(self, db, tmp_path):
        (tmp_path / "anchor").write_text("nothing")

        with pytest.raises(CommandError, match="no anchor in it"):
            call_command("verify_audit", anchor=tmp_path / "anchor")

    def test_refuses_a_file_that_is_not_there(self, db, tmp_path):
        with pytest.raises(CommandError, match="No such file"):
            call_command("verify_audit", anchor=tmp_path / "anchor")
