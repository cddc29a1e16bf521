"""What tells nothing is bounded; sessions, locks, sweeps and carriers are told of; a seal and a denial make sense."""

from django.db import migrations

from audit.operations import Track

FUNCTIONS = """
    -- The one entry that the application may write itself: that somebody was denied something.
    CREATE OR REPLACE FUNCTION audit_record_denial(kind text, id text, told_changes jsonb) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
        told audit_circumstances := audit_circumstances();
    BEGIN
        IF jsonb_typeof(told_changes) IS DISTINCT FROM 'object' OR length(told_changes::text) > 20000 THEN
            RAISE EXCEPTION 'That is no denial: it takes an object of at most 20,000 characters.'
                USING ERRCODE = 'check_violation';
        END IF;
        INSERT INTO audit_auditentry (
            at, entity_type, entity_id, action, changes, user_id, user_name, user_role, on_behalf_of, channel,
            ip_address, request_id, import_batch, reason
        ) VALUES (
            told.at, left(kind, 50), left(id, 40), 'denied', told_changes::text, told.user_id, told.user_name,
            told.user_role, told.on_behalf_of, told.channel, told.ip_address, told.request_id, told.import_batch,
            told.reason
        );
    END $$;
    REVOKE ALL ON FUNCTION audit_record_denial(text, text, jsonb) FROM PUBLIC;

    -- A seal joins the chain at its end, over entries that are there, or not at all; whether its root is true is for
    -- verify_audit to find out. Whoever holds the lock makes the sealer fail, which is seen, rather than wait.
    CREATE OR REPLACE FUNCTION audit_append_seal(given audit_seal) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '10s' AS $$
    DECLARE
        last audit_seal;
    BEGIN
        LOCK TABLE audit_seal IN SHARE ROW EXCLUSIVE MODE;
        SELECT * INTO last FROM audit_seal ORDER BY number DESC LIMIT 1;
        IF given.number IS DISTINCT FROM coalesce(last.number, 0) + 1
            OR given.previous_hash IS DISTINCT FROM coalesce(last.seal_hash, repeat('0', 64))
            OR given.highest_id IS DISTINCT FROM
                greatest(coalesce(last.highest_id, 0), (given.ranges #>> '{-1,1}')::bigint)
            OR given.highest_id > pg_sequence_last_value(pg_get_serial_sequence('audit_auditentry', 'id')::regclass)
            OR given.sealed_at > clock_timestamp() + interval '1 hour'
            OR given.entry_count NOT BETWEEN 1 AND 10000
            OR given.entry_count IS DISTINCT FROM (
                SELECT count(*) FROM jsonb_array_elements(given.ranges) one
                JOIN audit_auditentry entry ON entry.id BETWEEN (one ->> 0)::bigint AND (one ->> 1)::bigint
            )
        THEN
            RAISE EXCEPTION 'Seal % does not follow seal %.', given.number, coalesce(last.number, 0)
                USING ERRCODE = 'serialization_failure';
        END IF;
        INSERT INTO audit_seal SELECT given.*;
    END $$;
    REVOKE ALL ON FUNCTION audit_append_seal(audit_seal) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_service_accounts"),
        ("alerts", "0001_initial"),
        ("audit", "0002_trail"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("outbox", "0003_channels"),
        ("shipments", "0002_history"),
        ("workflow", "0002_history"),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        Track(
            "accounts.signin",
            [
                "id", "user_id", "refresh_hash", "ip_address", "user_agent", "created_at",
                "last_used_at", "expires_at", "revoked_at",
            ],
        ),
        Track(
            "accounts.apikey",
            [
                "id", "account_id", "name", "prefix", "key_hash", "scopes", "allowed_networks",
                "created_by_id", "created_at", "expires_at", "rotated_at", "revoked_at",
                "last_used_at", "last_used_from", "last_refused_at",
            ],
        ),
        Track(
            "accounts.secondfactor",
            [
                "user_id", "secret", "last_step", "created_at", "confirmed_at",
            ],
        ),
        Track(
            "accounts.browsersession",
            [
                "session_key", "session_data", "expire_date", "user_id", "ip_address", "user_agent",
                "opened_at", "seen_at",
            ],
        ),
        Track(
            "accounts.failedsignins",
            [
                "id", "account", "source", "failures", "locks", "last_failed_at", "locked_until",
            ],
        ),
        Track(
            "alerts.sweeprun",
            [
                "id", "on", "started_at", "finished_at", "shipments", "raised", "late", "messages",
                "duration_ms",
            ],
        ),
        Track(
            "outbox.message",
            [
                "id", "channel", "kind", "recipient_id", "message_id", "cc", "bcc", "reply_to",
                "delivery", "not_before", "leased_until", "refusals", "last_refusal", "sent_at",
                "provider_id", "created_at",
            ],
        ),
        Track(
            "outbox.carrier",
            [
                "channel", "down_since", "next_probe_at", "last_failure",
            ],
        ),
        Track(
            "django_celery_beat.periodictask",
            [
                "id", "name", "task", "interval_id", "crontab_id", "solar_id", "clocked_id", "args",
                "kwargs", "queue", "exchange", "routing_key", "headers", "priority", "expires",
                "expire_seconds", "one_off", "start_time", "enabled", "last_run_at",
                "total_run_count", "date_changed", "description",
            ],
        ),
        Track(
            "shipments.shipment",
            [
                "id", "shipment_number", "division_id", "transport_mode", "principal", "brand",
                "supplier_invoice_number", "supplier_invoice_date", "lc_number", "lc_issuing_bank",
                "invoice_amount_omr", "bl_number", "vessel", "port_of_loading", "port_of_discharge",
                "sail_date", "container_count", "quantity", "quantity_unit", "eta", "ata",
                "eta_edit_count", "eta_change_reason", "status", "cancel_reason", "cleared_on",
                "created_by_id", "created_at", "updated_at", "deleted_at", "version",
            ],
        ),
        Track(
            "workflow.workflowstep",
            [
                "id", "shipment_id", "template_step_id", "step_number", "step_name", "department",
                "offset_days", "is_critical", "is_optional", "target_date", "actual_date",
                "not_required", "ppr_user_id", "apr_user_id", "completed_by_id", "on_behalf_of_id",
                "completed_at", "completed_via", "note", "created_at", "updated_at", "version",
            ],
        ),
    ]
